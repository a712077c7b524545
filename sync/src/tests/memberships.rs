//! Memberships and their parents (rules Y1, Y2).

use super::*;
use crate::kind::Kind;
use crate::support::each;

impl Mirror {
    async fn members(&self) -> Vec<String> {
        self.texts("SELECT id FROM clerk_memberships ORDER BY id").await
    }
}

#[tokio::test]
async fn y1_a_membership_may_arrive_before_its_user_and_its_organization() {
    each(async |database| {
        let mirror = mirror(database).await;
        let member = membership("orgmem_1", "user_1", "org_1", T);
        let event = mirror.event("organizationMembership.created", T, &member).await;
        assert_eq!(event, Outcome::Applied);
        assert_eq!(mirror.members().await, ["orgmem_1"]);
    })
    .await;
}

#[tokio::test]
async fn y1_a_user_who_is_added_again_is_shown_once_whatever_arrives_first() {
    each(async |database| {
        let mirror = mirror(database).await;
        let (old, new) =
            (membership("orgmem_9", "user_1", "org_1", T), membership("orgmem_1", "user_1", "org_1", T + 50));
        mirror.event("organizationMembership.created", T, &old).await;
        // The deletion in between is late.
        mirror.event("organizationMembership.created", T + 50, &new).await;
        assert_eq!(mirror.members().await, ["orgmem_1"]);
        mirror.event("organizationMembership.deleted", T + 40, &old).await;
        assert_eq!(mirror.members().await, ["orgmem_1"]);
        mirror.event("organizationMembership.deleted", T + 60, &new).await;
        assert_eq!(mirror.members().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn y1_an_older_membership_does_not_come_back_when_the_newer_one_is_deleted() {
    each(async |database| {
        let mirror = mirror(database).await;
        let (old, new) =
            (membership("orgmem_1", "user_1", "org_1", T), membership("orgmem_2", "user_1", "org_1", T + 50));
        mirror.event("organizationMembership.created", T, &old).await;
        // Its deletion is lost, and of the newer one only the deletion arrives.
        mirror.event("organizationMembership.deleted", T + 60, &new).await;
        assert_eq!(mirror.members().await, Vec::<String>::new());
        // The same where the newer one was here, and a read finds it gone.
        let (old, new) =
            (membership("orgmem_3", "user_2", "org_1", T), membership("orgmem_4", "user_2", "org_1", T + 50));
        mirror.event("organizationMembership.created", T, &old).await;
        mirror.event("organizationMembership.created", T + 50, &new).await;
        let read = mirror.begin_read(Kind::Membership, "orgmem_4").await.unwrap();
        mirror.apply_read(&read, T + 100, None, None).await.unwrap();
        assert_eq!(mirror.members().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn y2_the_tombstone_of_a_user_or_an_organization_covers_its_memberships_late_ones_too() {
    each(async |database| {
        let mirror = mirror(database).await;
        for (parent, of, other) in [("user", "user_1", "org_9"), ("organization", "org_1", "user_9")] {
            let member = |id: &str, at| match parent {
                "user" => membership(id, of, other, at),
                _ => membership(id, other, of, at),
            };
            let (early, late) = (format!("orgmem_{parent}_1"), format!("orgmem_{parent}_2"));
            mirror.event("organizationMembership.created", T, &member(&early, T)).await;
            assert_eq!(mirror.members().await, [early.as_str()]);
            mirror.event(&format!("{parent}.deleted"), T + 5, &deleted(parent, of)).await;
            assert_eq!(mirror.members().await, Vec::<String>::new());
            let event = mirror.event("organizationMembership.created", T + 1, &member(&late, T + 1)).await;
            assert_eq!(event, Outcome::Outdated);
            assert_eq!(mirror.members().await, Vec::<String>::new());
            let rows = mirror.rows(Kind::Membership, &[&early, &late]).await.unwrap();
            let metadata = rows.iter().map(|row| &row.values[3]);
            assert_eq!(
                metadata.collect::<Vec<_>>(),
                [&crate::record::Value::Json(None); 2],
                "its content is erased"
            );
            // Once the parent is back, they are shown again, and a list restores their content.
            // Much later than the minute that is needed: the mirror's clock runs, and a busy machine stalls for seconds.
            let later = mirror.after(3_600_000);
            let kind: Kind = parent.parse().unwrap();
            let read = later.begin_read(kind, of).await.unwrap();
            let back = if parent == "user" { user(of, "Jane", T) } else { organization(of, "Acme", T) };
            later.apply_read(&read, T + 61_000, Some(&back.to_string()), None).await.unwrap();
            assert_eq!(mirror.members().await, [late.as_str()]);
            let entry = member(&late, T + 1).to_string();
            mirror.apply_page(Kind::Membership, T + 62_000, &[&entry], None).await.unwrap();
            let rows = mirror.rows(Kind::Membership, &[&late]).await.unwrap();
            assert_eq!(rows[0].values[3], crate::record::Value::Json(Some(r#"{"desk":"12"}"#.to_owned())));
            let gone = mirror.event("organizationMembership.deleted", T + 9, &member(&late, T + 1)).await;
            assert_eq!(gone, Outcome::Applied);
        }
    })
    .await;
}
