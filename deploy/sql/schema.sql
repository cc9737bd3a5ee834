-- Users of gateways, and their mail, in PostgreSQL 9.5 or later. For an empty database:
--
--   katzensprung sql schema | psql --set ON_ERROR_STOP=1 --single-transaction katzenpost
--
-- Nodes use the functions alone. A role that may do no more:
--
--   CREATE ROLE gateway LOGIN PASSWORD '...';
--   GRANT SELECT, INSERT, UPDATE, DELETE ON users, spool TO gateway;
--   GRANT SELECT ON metadata TO gateway;
--   GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO gateway;

CREATE TABLE metadata (
    schema_version smallint NOT NULL,
    spool_only boolean NOT NULL
);
INSERT INTO metadata VALUES (0, false);

-- Names are at most 32 bytes, without zeros at their ends; keys are as the link protocol has them.
CREATE TABLE users (
    user_id bigserial PRIMARY KEY,
    user_name bytea NOT NULL UNIQUE CHECK (octet_length(user_name) BETWEEN 1 AND 32),
    authentication_key bytea NOT NULL,
    identity_key bytea
);

CREATE TABLE spool (
    message_id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    surb_id bytea,
    message_body bytea NOT NULL
);
CREATE INDEX spool_by_user ON spool (user_id, message_id);

CREATE FUNCTION metadata_get() RETURNS record LANGUAGE sql STABLE AS $$
    SELECT schema_version, spool_only FROM metadata
$$;

-- What is said of a name that is not there: no_data_found (P0002).
CREATE FUNCTION user_require(name bytea) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
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

CREATE FUNCTION user_get_authentication_key(name bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    RETURN (SELECT authentication_key FROM users WHERE user_id = id);
END
$$;

-- A new name, or another key for one that is there.
CREATE FUNCTION user_set_authentication_key(name bytea, key bytea, is_update boolean) RETURNS void LANGUAGE plpgsql AS $$
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

CREATE FUNCTION user_get_identity_key(name bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    RETURN (SELECT identity_key FROM users WHERE user_id = id);
END
$$;

CREATE FUNCTION user_set_identity_key(name bytea, key bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    UPDATE users SET identity_key = key WHERE user_id = id;
END
$$;

-- With all its mail.
CREATE FUNCTION user_delete(name bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    DELETE FROM users WHERE user_id = id;
END
$$;

CREATE FUNCTION spool_store(name bytea, reply_block bytea, message bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id bigint := user_require(name);
BEGIN
    INSERT INTO spool (user_id, surb_id, message_body) VALUES (id, reply_block, message);
END
$$;

-- The oldest message of a user, after removing the one before it if `advance` says so: its body, its reply block, and 1
-- if there are more behind it; nulls and 0 if there is none.
CREATE FUNCTION spool_get(name bytea, advance boolean) RETURNS record LANGUAGE plpgsql AS $$
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
CREATE FUNCTION spool_keep(name bytea, reply_block bytea, message bytea, most integer) RETURNS integer
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
CREATE FUNCTION spool_gone(name bytea, reply_block bytea) RETURNS void LANGUAGE sql AS $$
    DELETE FROM spool
        WHERE user_id = (SELECT user_id FROM users WHERE user_name = name) AND surb_id = reply_block
$$;

-- The oldest letters of a user, which stay until they are gone.
CREATE FUNCTION spool_take(name bytea, most integer) RETURNS TABLE (surb_id bytea, message_body bytea)
LANGUAGE sql STABLE AS $$
    SELECT spool.surb_id, spool.message_body FROM spool JOIN users USING (user_id)
        WHERE user_name = name ORDER BY message_id LIMIT most
$$;
