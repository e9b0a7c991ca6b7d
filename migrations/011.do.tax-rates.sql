-- Tax rates by region. Rows are only added: each is one change. A rate ends where the next one of its region begins; of two
-- changes with the same beginning, the later one counts. `version` numbers the changes without gaps, so that each change is
-- checked against the one before it.
CREATE TABLE IF NOT EXISTS tax_rates (
  version    BIGINT NOT NULL PRIMARY KEY,
  region     VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  rate       DECIMAL(7, 6) NOT NULL,
  valid_from DATETIME(3) NOT NULL COMMENT 'UTC',
  created_at DATETIME(3) NOT NULL COMMENT 'UTC, when the change was made',
  client     VARCHAR(64) NOT NULL COMMENT 'address of whoever made it',
  request_id VARCHAR(128) NOT NULL
) ENGINE = InnoDB;
