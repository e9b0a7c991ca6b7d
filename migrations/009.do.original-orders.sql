-- How far the rows of `orders_original` have been copied: the table that the original system left. Empty in a database
-- that never had one.
CREATE TABLE IF NOT EXISTS orders_original_copy (
  id          TINYINT NOT NULL PRIMARY KEY,
  last_key    VARCHAR(255) CHARACTER SET utf8mb4 NULL COMMENT 'of the last row that is copied',
  copied      BIGINT NOT NULL DEFAULT 0,
  finished_at DATETIME(3) NULL COMMENT 'UTC'
) ENGINE = InnoDB;
