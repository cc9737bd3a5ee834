-- Users of gateways, and their mail, in PostgreSQL 9.5 or later. For an empty database, and again, over the same, for what
-- later versions of this program have more:
--
--   katzensprung sql schema | psql --set ON_ERROR_STOP=1 --single-transaction katzenpost
--
-- Nodes use the functions alone. A role that may do no more:
--
--   CREATE ROLE gateway LOGIN PASSWORD '...';
--   GRANT SELECT, INSERT, UPDATE, DELETE ON users, spool TO gateway;
--   GRANT SELECT ON metadata TO gateway;
--   GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO gateway;

CREATE TABLE IF NOT EXISTS metadata (
    schema_version smallint NOT NULL,
    spool_only boolean NOT NULL
);
INSERT INTO metadata SELECT 0, false WHERE NOT EXISTS (SELECT 1 FROM metadata);

-- Names are at most 32 bytes, without zeros at their ends; keys are as the link protocol has them.
CREATE TABLE IF NOT EXISTS users (
    user_id bigserial PRIMARY KEY,
    user_name bytea NOT NULL UNIQUE CHECK (octet_length(user_name) BETWEEN 1 AND 32),
    authentication_key bytea NOT NULL,
    identity_key bytea
);

CREATE TABLE IF NOT EXISTS spool (
    message_id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    surb_id bytea,
    message_body bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now()
);
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM pg_attribute WHERE attrelid = 'spool'::regclass AND attname = 'kept_at' AND NOT attisdropped
    ) THEN
        ALTER TABLE spool ADD COLUMN kept_at timestamptz NOT NULL DEFAULT now();
    END IF;
END
$$;
CREATE INDEX IF NOT EXISTS spool_by_user ON spool (user_id, message_id);

CREATE OR REPLACE FUNCTION metadata_get() RETURNS record LANGUAGE sql STABLE AS $$
    SELECT schema_version, spool_only FROM metadata
$$;

-- What is said of a name that is not there: no_data_found (P0002).
CREATE OR REPLACE FUNCTION user_require(name bytea) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    id bigint;
BEGIN
    SELECT user_id INTO id FROM users WHERE user_name = name;
    IF id IS NULL THEN
        RAISE no_data_found USING MESSAGE = 'there is no such user';
    END IF;
    RETURN id;
END
$$;

CREATE OR REPLACE FUNCTION user_get_authentication_key(name bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    RETURN (SELECT authentication_key FROM users WHERE user_id = id);
END
$$;

-- A new name, or another key for one that is there.
CREATE OR REPLACE FUNCTION user_set_authentication_key(name bytea, key bytea, is_update boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    IF is_update THEN
        id := user_require(name);
        UPDATE users SET authentication_key = key WHERE user_id = id;
    ELSE
        INSERT INTO users (user_name, authentication_key) VALUES (name, key);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION user_get_identity_key(name bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    RETURN (SELECT identity_key FROM users WHERE user_id = id);
END
$$;

CREATE OR REPLACE FUNCTION user_set_identity_key(name bytea, key bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    UPDATE users SET identity_key = key WHERE user_id = id;
END
$$;

-- With all its mail.
CREATE OR REPLACE FUNCTION user_delete(name bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    DELETE FROM users WHERE user_id = id;
END
$$;

CREATE OR REPLACE FUNCTION spool_store(name bytea, reply_block bytea, message bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    INSERT INTO spool (user_id, surb_id, message_body) VALUES (id, reply_block, message);
END
$$;

-- The oldest message of a user, after removing the one before it if `advance` says so: its body, its reply block, and 1
-- if there are more behind it; nulls and 0 if there is none.
CREATE OR REPLACE FUNCTION spool_get(name bytea, advance boolean) RETURNS record LANGUAGE plpgsql AS $$
DECLARE
    oldest bigint[];
    answer record;
BEGIN
    -- One at a time for each user, whichever gateway asks.
    PERFORM 1 FROM users WHERE user_name = name FOR UPDATE;
    oldest := ARRAY(
        SELECT message_id FROM spool JOIN users USING (user_id) WHERE user_name = name ORDER BY message_id LIMIT 3
    );
    IF advance AND cardinality(oldest) > 0 THEN
        DELETE FROM spool WHERE message_id = oldest[1];
        oldest := oldest[2:3];
    END IF;
    SELECT message_body, surb_id, CASE WHEN cardinality(oldest) > 1 THEN 1 ELSE 0 END
        INTO answer FROM spool WHERE message_id = oldest[1];
    IF NOT FOUND THEN
        answer := ROW(NULL::bytea, NULL::bytea, 0);
    END IF;
    RETURN answer;
END
$$;

-- What follows is for gateways that keep the letters of their users here ([Gateway.SpoolDB]).

-- 0: it is kept, once however often it is given; 1: there is no such user; 2: there are `most` letters already.
CREATE OR REPLACE FUNCTION spool_keep(name bytea, reply_block bytea, message bytea, most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    SELECT user_id INTO id FROM users WHERE user_name = name FOR KEY SHARE;
    IF id IS NULL THEN
        RETURN 1;
    ELSIF EXISTS (SELECT 1 FROM spool WHERE user_id = id AND surb_id = reply_block) THEN
        RETURN 0;
    ELSIF (SELECT count(*) FROM spool WHERE user_id = id) >= most THEN
        RETURN 2;
    END IF;
    INSERT INTO spool (user_id, surb_id, message_body) VALUES (id, reply_block, message);
    RETURN 0;
END
$$;

-- A letter has arrived.
CREATE OR REPLACE FUNCTION spool_gone(name bytea, reply_block bytea) RETURNS void LANGUAGE sql AS $$
    DELETE FROM spool
        WHERE user_id = (SELECT user_id FROM users WHERE user_name = name) AND surb_id = reply_block
$$;

-- The oldest letters of a user that have so many bytes, which stay until they are gone: others nothing could deliver.
CREATE OR REPLACE FUNCTION spool_take(name bytea, most integer, size integer)
RETURNS TABLE (surb_id bytea, message_body bytea)
LANGUAGE sql STABLE AS $$
    SELECT spool.surb_id, spool.message_body FROM spool JOIN users USING (user_id)
        WHERE user_name = name AND octet_length(spool.surb_id) = 16 AND octet_length(spool.message_body) = size
        ORDER BY message_id LIMIT most
$$;

-- Removes letters that are older than so many seconds, at most `most`, and gives how many. Every gateway calls it once a
-- minute, and the next one after it.
CREATE OR REPLACE FUNCTION spool_expire(seconds bigint, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    expired bigint;
BEGIN
    -- The oldest ones have the lowest numbers, so that the rest needs no look.
    DELETE FROM spool WHERE message_id IN (
        SELECT message_id FROM (SELECT message_id, kept_at FROM spool ORDER BY message_id LIMIT most) AS oldest
            WHERE kept_at < now() - seconds * interval '1 second'
    );
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END
$$;

-- Where all letters together come near `size` bytes, it removes the newest ones of whoever has most, until there is room
-- again, but nobody's only one, and at most `most`: what takes too long would be given up as a whole. Gives how many bytes
-- there are, and how many letters went.
CREATE OR REPLACE FUNCTION spool_sweep(size bigint, most integer, OUT bytes bigint, OUT displaced bigint)
LANGUAGE plpgsql AS $$
DECLARE
    letters bigint;
    level bigint;
BEGIN
    displaced := 0;
    SELECT count(*), coalesce(sum(octet_length(message_body)), 0) INTO letters, bytes FROM spool;
    IF bytes > size - size / 16 THEN
        -- Each may have as many as fit into seven eighths if nobody has more.
        SELECT max(place) INTO level FROM (
            SELECT place, sum(count(*)) OVER (ORDER BY place) AS letters_up_to FROM (
                SELECT row_number() OVER (PARTITION BY user_id ORDER BY message_id) AS place FROM spool
            ) AS places GROUP BY place
        ) AS levels WHERE letters_up_to <= letters * (size - size / 8) / bytes;
        DELETE FROM spool WHERE message_id IN (
            SELECT message_id FROM (
                SELECT message_id, row_number() OVER (PARTITION BY user_id ORDER BY message_id) AS place FROM spool
            ) AS places WHERE place > greatest(coalesce(level, 1), 1) ORDER BY place DESC LIMIT most
        );
        GET DIAGNOSTICS displaced = ROW_COUNT;
        SELECT coalesce(sum(octet_length(message_body)), 0) INTO bytes FROM spool;
    END IF;
END
$$;
