-- The shop's books. Money is in whole cents, days are ISO dates, moments are ISO in UTC.
CREATE TABLE customers (
    email TEXT PRIMARY KEY,
    name  TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    number    TEXT PRIMARY KEY,
    email     TEXT NOT NULL REFERENCES customers (email),
    placed    TEXT NOT NULL,
    cancelled TEXT
) STRICT;
CREATE INDEX orders_by_email ON orders (email, placed);

CREATE TABLE lines (
    number   TEXT NOT NULL REFERENCES orders (number),
    position INTEGER NOT NULL,
    title    TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    cents    INTEGER NOT NULL CHECK (cents >= 0),
    PRIMARY KEY (number, position)
) STRICT;

CREATE TABLE payments (
    number TEXT PRIMARY KEY REFERENCES orders (number),
    card   TEXT NOT NULL,
    cents  INTEGER NOT NULL CHECK (cents > 0),
    paid   TEXT NOT NULL
) STRICT;

CREATE TABLE shipments (
    number    TEXT PRIMARY KEY REFERENCES orders (number),
    carrier   TEXT NOT NULL,
    tracking  TEXT NOT NULL UNIQUE,
    state     TEXT NOT NULL CHECK (state IN ('in_transit', 'delivered', 'lost')),
    shipped   TEXT NOT NULL,
    expected  TEXT NOT NULL,
    delivered TEXT,
    CHECK ((state = 'delivered') = (delivered IS NOT NULL))
) STRICT;

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
    at         TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_message ON outbox (message_id);
