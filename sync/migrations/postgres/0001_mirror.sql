-- Times are milliseconds since 1970. There are no foreign keys, and nothing but ids is unique: a membership
-- may arrive before its user, and an address may move from one user to another before the event of the first one arrives.

-- The Clerk instances whose objects are here. `last_position` is the last number that the change feed has given.
CREATE TABLE clerk_mirror_instances (
    instance_id TEXT NOT NULL PRIMARY KEY,
    bound_at BIGINT NOT NULL,
    last_position BIGINT NOT NULL DEFAULT 0
);

-- Of all three kinds of rows:
-- `revision` grows with each write; `changed` is the revision at which a mirrored column last changed.
-- `version` is Clerk's `updated_at`, and `told_at` the time of the event or of the read that told it.
-- `hash` is over the mirrored columns. `seen_at` is when Clerk last told that the object exists.
-- A row with `deleted_at` is a tombstone. It holds ids and times only.
-- The free room lets a nightly reconciliation, which writes `seen_at` of each row, leave the indexes alone.
CREATE TABLE clerk_mirror_users (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    deleted_at BIGINT,
    external_id TEXT,
    username TEXT,
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    email_verified BOOLEAN,
    phone TEXT,
    phone_verified BOOLEAN,
    image_url TEXT,
    banned BOOLEAN,
    deprovisioned BOOLEAN,
    public_metadata JSONB,
    created_at BIGINT,
    raw TEXT,
    PRIMARY KEY (instance_id, id)
) WITH (fillfactor = 80);

CREATE INDEX clerk_mirror_users_email ON clerk_mirror_users (instance_id, email);
CREATE INDEX clerk_mirror_users_external_id ON clerk_mirror_users (instance_id, external_id);

CREATE TABLE clerk_mirror_organizations (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    deleted_at BIGINT,
    name TEXT,
    slug TEXT,
    image_url TEXT,
    created_by TEXT,
    public_metadata JSONB,
    created_at BIGINT,
    raw TEXT,
    PRIMARY KEY (instance_id, id)
) WITH (fillfactor = 80);

CREATE INDEX clerk_mirror_organizations_slug ON clerk_mirror_organizations (instance_id, slug);

-- The tombstone of a membership keeps `user_id`, `organization_id` and `created_at`: an older membership of the same pair, whose
-- deletion hasn't arrived, must not show up again in its place.
CREATE TABLE clerk_mirror_memberships (
    instance_id TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    deleted_at BIGINT,
    user_id TEXT,
    organization_id TEXT,
    role TEXT,
    public_metadata JSONB,
    created_at BIGINT,
    raw TEXT,
    PRIMARY KEY (instance_id, id)
) WITH (fillfactor = 80);

CREATE INDEX clerk_mirror_memberships_user ON clerk_mirror_memberships (instance_id, user_id, organization_id);
CREATE INDEX clerk_mirror_memberships_organization ON clerk_mirror_memberships (instance_id, organization_id);

CREATE VIEW clerk_users AS
SELECT instance_id, id, external_id, username, first_name, last_name, email, email_verified, phone, phone_verified, image_url,
    banned, deprovisioned, public_metadata, created_at, version AS updated_at, raw
FROM clerk_mirror_users
WHERE deleted_at IS NULL;

CREATE VIEW clerk_organizations AS
SELECT instance_id, id, name, slug, image_url, created_by, public_metadata, created_at, version AS updated_at, raw
FROM clerk_mirror_organizations
WHERE deleted_at IS NULL;

-- The newest membership of each pair, unless it, its user or its organization is deleted.
CREATE VIEW clerk_memberships AS
SELECT m.instance_id, m.id, m.user_id, m.organization_id, m.role, m.public_metadata, m.created_at, m.version AS updated_at, m.raw
FROM clerk_mirror_memberships m
WHERE m.deleted_at IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM clerk_mirror_memberships n
        WHERE n.instance_id = m.instance_id AND n.user_id = m.user_id AND n.organization_id = m.organization_id
            AND (n.created_at > m.created_at OR (n.created_at = m.created_at AND n.id > m.id))
    )
    AND NOT EXISTS (
        SELECT 1 FROM clerk_mirror_users u
        WHERE u.instance_id = m.instance_id AND u.id = m.user_id AND u.deleted_at IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM clerk_mirror_organizations o
        WHERE o.instance_id = m.instance_id AND o.id = m.organization_id AND o.deleted_at IS NOT NULL
    );

-- The change feed. A reader takes the entries behind its cursor, in the order of `position`. An entry has no position until it is
-- due, and its transaction has ended.
CREATE TABLE clerk_changes (
    entry BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id TEXT NOT NULL,
    position BIGINT,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    change TEXT NOT NULL,
    cause TEXT NOT NULL,
    at BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX clerk_changes_position ON clerk_changes (instance_id, position);
CREATE INDEX clerk_changes_pending ON clerk_changes (instance_id, entry) WHERE position IS NULL;

-- The ids of the events that were applied or quarantined, for 48 hours.
CREATE TABLE clerk_mirror_deliveries (
    instance_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    noted_at BIGINT NOT NULL,
    event_at BIGINT,
    PRIMARY KEY (instance_id, message_id)
);

CREATE INDEX clerk_mirror_deliveries_noted ON clerk_mirror_deliveries (instance_id, noted_at);

-- Events and list entries that can't be applied. Never their content.
CREATE TABLE clerk_mirror_quarantine (
    instance_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    kind TEXT,
    object_id TEXT,
    organization_id TEXT,
    user_id TEXT,
    reason TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, message_id)
);

-- One writer at a time for the long tasks. A write of a task compares `fence` with its own, which a later holder has raised.
CREATE TABLE clerk_mirror_leases (
    instance_id TEXT NOT NULL,
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, name)
);

-- How far the long tasks have come, as JSON.
CREATE TABLE clerk_mirror_progress (
    instance_id TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, task, kind)
);
