-- The shop's books. Money is in whole cents, days are ISO dates, moments are ISO in UTC.
CREATE TABLE customers (
    email TEXT PRIMARY KEY,
    name  TEXT NOT NULL
) STRICT;

CREATE TABLE products (
    title  TEXT PRIMARY KEY,
    called TEXT NOT NULL  -- what customers call it, words with blanks between
) STRICT;

CREATE TABLE variants (
    sku    TEXT PRIMARY KEY,
    title  TEXT NOT NULL REFERENCES products (title),
    colour TEXT NOT NULL,
    size   TEXT NOT NULL,
    cents  INTEGER NOT NULL CHECK (cents > 0),
    stock  INTEGER NOT NULL CHECK (stock >= 0)
) STRICT;

CREATE TABLE orders (
    number    TEXT PRIMARY KEY,
    email     TEXT NOT NULL REFERENCES customers (email),
    placed    TEXT NOT NULL,
    street    TEXT NOT NULL,
    postcode  TEXT NOT NULL,
    city      TEXT NOT NULL,
    gift      INTEGER NOT NULL CHECK (gift IN (0, 1)),
    cancelled TEXT
) STRICT;
CREATE INDEX orders_by_email ON orders (email, placed);

CREATE TABLE lines (
    number     TEXT NOT NULL REFERENCES orders (number),
    sku        TEXT NOT NULL REFERENCES variants (sku),
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    cents      INTEGER NOT NULL CHECK (cents >= 0),
    final_sale INTEGER NOT NULL CHECK (final_sale IN (0, 1)),
    PRIMARY KEY (number, sku)
) STRICT;

-- One row for each time that a card was charged.
CREATE TABLE payments (
    id     INTEGER PRIMARY KEY,
    number TEXT NOT NULL REFERENCES orders (number),
    card   TEXT NOT NULL,
    cents  INTEGER NOT NULL CHECK (cents > 0),
    paid   TEXT NOT NULL
) STRICT;
CREATE INDEX payments_by_order ON payments (number);

CREATE TABLE shipments (
    number       TEXT PRIMARY KEY REFERENCES orders (number),
    carrier      TEXT NOT NULL,
    tracking     TEXT NOT NULL UNIQUE,
    state        TEXT NOT NULL CHECK (state IN ('in_transit', 'delivered', 'lost')),
    shipped      TEXT NOT NULL,
    expected     TEXT NOT NULL,
    delivered    TEXT,
    carrier_says TEXT NOT NULL,  -- the carrier's words, as they came
    CHECK ((state = 'delivered') = (delivered IS NOT NULL))
) STRICT;

-- What the shop expects back: one row for each line of a return or an exchange. `wanted` is what is sent instead.
CREATE TABLE returns (
    rma      TEXT NOT NULL,
    key      TEXT NOT NULL,
    number   TEXT NOT NULL,
    sku      TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    wanted   TEXT REFERENCES variants (sku),
    at       TEXT NOT NULL,
    PRIMARY KEY (key, sku),
    FOREIGN KEY (number, sku) REFERENCES lines (number, sku)
) STRICT;
CREATE INDEX returns_by_order ON returns (number);

-- Append-only. The key is what makes a repeated request the same refund and not a second one.
CREATE TABLE refunds (
    receipt TEXT PRIMARY KEY,
    key     TEXT NOT NULL UNIQUE,
    number  TEXT NOT NULL REFERENCES orders (number),
    cents   INTEGER NOT NULL CHECK (cents > 0),
    at      TEXT NOT NULL
) STRICT;
CREATE INDEX refunds_by_order ON refunds (number);

-- Deliberately not unique by message_id: like a mail server, it sends again what it is given twice.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    at         TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('sending', 'sent'))
) STRICT;
CREATE INDEX outbox_by_message ON outbox (message_id);
