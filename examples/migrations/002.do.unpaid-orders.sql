-- Orders whose payment failed for good, for the people who call the customer.
CREATE TABLE IF NOT EXISTS unpaid_orders (
  event_id VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  order_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code     VARCHAR(100) NOT NULL
) ENGINE = InnoDB;
