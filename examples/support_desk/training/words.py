"""What stands in the slots of the templates: goods, people, places, numbers. All of it is made up."""

# ruff: noqa: E501, RUF005  word lists read better on long lines

from __future__ import annotations

ITEMS = (
    "mug lamp kettle blanket clock apron doormat carafe notebook jacket sweater rug teapot chair shelf vase "
    "cushion hat scarf coat cardigan backpack toaster bowl mirror stool basket towel raincoat candle"
).split() + [
    "desk lamp", "oil lamp", "bread bin", "picture frame", "storm kettle", "wall clock", "linen apron",
    "candle holder", "coat hook", "tea towel set", "wool blanket", "glass carafe", "bookend", "reading chair",
    "enamel mug", "bed cover", "table cloth", "garden bench", "coffee grinder", "salad bowl", "bath mat",
    "floor lamp", "fruit basket", "cutlery set", "reading lamp", "dressing gown", "laundry basket", "tea set",
]  # fmt: skip
PLURALS = (
    "mugs lamps cushions boots slippers curtains towels plates glasses shoes chairs candles hooks bowls napkins "
    "frames notebooks sandals gloves socks trousers bookends"
).split() + [
    "tea towels", "enamel mugs", "coat hooks", "candle holders", "wine glasses", "picture frames", "bed sheets",
    "rubber boots", "soup plates", "kitchen chairs", "egg cups", "place mats", "curtain rods", "storage jars",
]  # fmt: skip
COLORS = (
    "blue red green grey black white yellow navy cream brown orange olive turquoise sand petrol rust".split()
)
SIZES = "S M L XL XXL 36 37 38 39 40 41 42 43 44 46 medium large small 140 152 164".split()
MATERIALS = "oak wool linen cotton leather silver brass glass copper bamboo steel silk".split()
DULL = "plastic polyester pine viscose acrylic tin plywood foil".split()
PEOPLE = "wife husband son daughter mother father sister brother aunt uncle grandson neighbour friend".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
CITIES = (
    "Leeds Hamburg Cork Lyon Ghent Bergen Porto Malmo Turin Graz Brno Galway Utrecht Bath Kiel Dundee Aarhus "
    "Bremen Cardiff Oslo Riga Lille Basel Derby Exeter"
).split()
COUNTRIES = "Norway Switzerland Iceland Canada Japan Ireland Malta Cyprus Greece Chile".split()
STREETS = (
    "Mill Lane,Harbour Street,Oak Road,Station Road,Castle Hill,Church Walk,Rose Avenue,Quay Street,Park Row,"
    "Linden Road,Bridge Street,High Street,Willow Close,Elm Grove,Market Square,Canal Side,Hill View,Bay Road,"
    "Lindenweg,Rue du Port,Kirkegata,Via Roma,Hafenstrasse"
).split(",")
NAMES = (
    "Anna Berg,Tom Okafor,Lucia Ferro,Ben Harrow,Mei Tanaka,Jonas Weiss,Clara Dunn,Oscar Lind,Victor Hale,"
    "Dana Petrov,Carmen Ruiz,Rita Holm,Sam Carver,Pia Norris,Ivo Keller,Uma Sato,Gus Elliot,Nora Marsh,Priya Nair,"
    "Ali Demir,Joan Webb,Piotr Zych,Ewa Lis,Marc Dubois,Hana Suk,Fay Grant,Yusuf Aydin,Greta Moe,Ian Walsh,Lou Tate"
).split(",")
CARRIERS = ["Gull Post", "Northline", "Parcel Tern", "the courier", "the carrier", "DPX", "the post"]

GREETINGS = (
    "Hi,|Hello,|Hi there,|Dear team,|Dear Sir or Madam,|Good morning,|Good evening,|Hey,|Dear shop,|To whom it may "
    "concern,|Hello Harbour Goods,|Good day,|Hi team,|Hello everyone,|Dear Harbour Goods,|hey there|hi|Dear ladies "
    "and gentlemen,|Greetings,|Hello again,"
).split("|")
THANKS = (
    "Thanks!|Thank you.|Thanks in advance.|Many thanks|Cheers|Thank you very much for your help.|Best regards|Kind "
    "regards|Yours sincerely|Best|Regards|With best wishes|thx|ty!|Thanks a lot,|Have a nice day|Yours faithfully|"
    "Warm regards|Sent from my phone|Looking forward to your answer.|Bye"
).split("|")

SUBJECTS = {
    "track": "Where is my order?|Delivery|Not here yet|Parcel|Tracking|When does it come?|Still waiting|Late delivery|"
    "Shipping status|Status of my order|Parcel missing?|ETA|Any news?|Dispatch",
    "cancel": "Cancellation|Please cancel|Cancel my order|Changed my mind|Ordered by mistake|Stop my order|oops|"
    "Do not send|Withdrawal from order|No longer needed|Mistake|Cancel",
    "refund": "Refund|Refund request|Broken|Damaged item|Money back|Charged twice|Defective|Complaint|Item missing|"
    "Lost parcel|Double charge|Not as described|Arrived damaged|my money",
    "address": "Change of address|New address|Wrong address|Delivery address|We moved|Address correction|Ship elsewhere|"
    "Shipping address|Address mistake|Moving",
    "return": "Return|Returning an item|Return label|Return request|Sending it back|Does not fit|Withdrawal|"
    "How to return?|Not for me|Goods back to you|Right of withdrawal",
    "exchange": "Exchange|Wrong size|Exchange request|Swap|Other colour|Size|Can I change the colour?|Different size|"
    "Wrong colour|Size exchange",
    "other": "Invoice|Question|Feedback|Thank you|Offer|Cooperation|Product question|Complaint|Two things|Enquiry|"
    "My account|Newsletter|Refund?|Cancellation?|Application|Discount|Payment|Return|Exchange",
}
PLAIN_SUBJECTS = (
    "|||Order|My order|Hello|Question|Help|Request|Re: your order|Your shop|Important|Help please|A question|"
    "URGENT|hi|Problem|My purchase|Problem with my order|Order question|please read|Fwd: order|To customer service"
).split("|")

SHORT = {
    "please": ["pls", "plz"], "you": ["u"], "your": ["ur"], "are": ["r"], "thanks": ["thx"], "because": ["cuz", "bc"],
    "about": ["abt"], "tomorrow": ["tmrw"], "order": ["order", "ordr"], "with": ["w/"], "and": ["&", "n"], "to": ["2"],
    "for": ["4"], "received": ["recieved", "got"], "address": ["adress", "addres"], "want": ["wanna have", "want"],
    "cancel": ["cancle", "cancell"], "return": ["retrun", "return"], "exchange": ["exhange", "exchange"],
    "parcel": ["parcle", "pacel"], "refund": ["refund", "refnd"], "arrived": ["arived", "arrived"],
}  # fmt: skip
"""How people in a hurry write; also the misspellings that one sees most."""
