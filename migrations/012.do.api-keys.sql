-- The API keys. A revoked key stays, so that the list and the log can name it.
CREATE TABLE IF NOT EXISTS api_keys (
  id           CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  name         VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
  tenant       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scopes       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'with a space between two',
  created_at   DATETIME(3) NOT NULL COMMENT 'UTC',
  expires_at   DATETIME(3) NULL COMMENT 'UTC',
  revoked_at   DATETIME(3) NULL COMMENT 'UTC',
  last_used_at DATETIME(3) NULL COMMENT 'UTC, some seconds late',
  rate_limit   INT NULL COMMENT 'requests a second; NULL for the limit of all keys'
) ENGINE = InnoDB;

-- The secrets of the keys, as SHA-256 in hex. A key has two while it is rotated: the newest one, and the one before.
CREATE TABLE IF NOT EXISTS api_key_secrets (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  key_id     CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(3) NOT NULL COMMENT 'UTC',
  expires_at DATETIME(3) NULL COMMENT 'UTC',
  KEY api_key_secrets_key (key_id)
) ENGINE = InnoDB;
