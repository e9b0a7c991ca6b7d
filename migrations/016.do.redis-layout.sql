-- Where the orders of this database are in Redis: one row, which every process compares with its settings.
CREATE TABLE IF NOT EXISTS redis_layout (
  id         TINYINT NOT NULL PRIMARY KEY COMMENT 'always 1',
  key_prefix VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'KEY_PREFIX',
  cluster    TINYINT NOT NULL COMMENT 'REDIS_CLUSTER: 1 or 0',
  state      ENUM('used', 'releasing', 'released') NOT NULL,
  changed_at DATETIME(3) NOT NULL COMMENT 'UTC'
) ENGINE = InnoDB;
