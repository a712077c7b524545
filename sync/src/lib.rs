//! Clerk's users, organizations and memberships in a database of one's own.
