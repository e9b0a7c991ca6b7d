-- How many of each item are left.
CREATE TABLE IF NOT EXISTS stock (
  item      VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  available INT UNSIGNED NOT NULL
) ENGINE = InnoDB;

-- The item that each completed order has reserved, by the id of its event. The key reserves one item for an order,
-- however often its event arrives. An order id would not do: two tenants may use the same one.
CREATE TABLE IF NOT EXISTS stock_reservations (
  event_id VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  item     VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE = InnoDB;

-- The deliveries that the stock includes. The key adds each delivery once.
CREATE TABLE IF NOT EXISTS stock_deliveries (
  delivery_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  item        VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  quantity    INT UNSIGNED NOT NULL
) ENGINE = InnoDB;
