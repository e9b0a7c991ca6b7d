-- Where the groups of a function on a log begin: one row for each function, not for each partition. `positions` has the
-- entry of each partition that the group begins behind, as JSON, until all its groups were made. After that it is NULL:
-- the groups existed, and one that is missing was lost and is made anew at the beginning.
CREATE TABLE IF NOT EXISTS function_starts (
  stream     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  group_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  positions  TEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (stream, group_name)
) ENGINE = InnoDB;
