-- The optional fields of orders, and amounts of ten digits. The wider amounts copy the table: writers wait meanwhile.
-- `waiting` is a spilled order that the release before must not complete, since it does not know these fields.
-- Lists read one status at a time, in the order of an index.
ALTER TABLE orders
  MODIFY COLUMN amount DECIMAL(14, 4) NOT NULL,
  MODIFY COLUMN tax    DECIMAL(15, 4) NULL,
  MODIFY COLUMN total  DECIMAL(15, 4) NULL,
  MODIFY COLUMN status ENUM('processing', 'completed', 'failed', 'waiting', 'cancelled') NOT NULL,
  ADD COLUMN currency    CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'ISO 4217',
  ADD COLUMN customer_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN region      VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN items       JSON NULL,
  ADD COLUMN metadata    JSON NULL,
  ADD COLUMN tenant      VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'default',
  DROP KEY orders_status_created_at,
  ADD KEY orders_status_tenant_created_at (status, tenant, created_at),
  ADD KEY orders_customer_tenant_status_created_at (customer_id, tenant, status, created_at),
  ADD KEY orders_tenant_amount (tenant, amount);

ALTER TABLE order_totals ADD COLUMN cancelled BIGINT NOT NULL DEFAULT 0;

-- Revenue of orders with a currency. That of the others is in order_totals, whose slot is locked first.
CREATE TABLE IF NOT EXISTS order_revenue (
  slot     SMALLINT NOT NULL,
  currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  revenue  DECIMAL(30, 4) NOT NULL,
  PRIMARY KEY (slot, currency)
) ENGINE = InnoDB;
