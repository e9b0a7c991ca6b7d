#!lua flags=allow-oom
-- Removes a consumer unless it has pending messages: its removal would drop them from the group.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer
-- Returns 1 when the consumer was removed, else 0.

if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
