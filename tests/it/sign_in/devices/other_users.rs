//! Identifiers that pass to another user, or that look like another user's.

use std::time::Duration;

use super::{killed, world};
use crate::common::{JANE, NEWDEVICE, Pair, World, code, enroll, enroll_as, rest, session};
use crate::stores::{DEVICE, StoreFile};
use tower_clerk::testing::{FakeClerkBuilder, FakeUser};

#[tokio::test(start_paused = true)]
async fn s10_an_answer_about_another_user_drops_the_device() {
    let devices = StoreFile::new();
    let world = world(&devices, |fake| fake);
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    world.clerk.shutdown(Duration::from_secs(5)).await;
    devices.lose_logins().await;
    let again = killed(&world, &devices);
    again.fake.change_email("jane", "jane@example.com", "jane@elsewhere.example");
    let other = FakeUser::new("jane@example.com").password(JANE.1);
    let other = again.fake.add_user(other);
    rest().await;
    assert_eq!(session(&again.get(JANE).await).user_id(), other);
    rest().await;
    // The device is the new owner's: it goes with that user, and not with the former one.
    assert_eq!(devices.count(DEVICE), 1);
    again.clerk.revoke_user(&jane);
    rest().await;
    assert_eq!(devices.count(DEVICE), 1);
    again.clerk.revoke_user(&other);
    rest().await;
    assert_eq!(devices.count(DEVICE), 0);
}

#[tokio::test(start_paused = true)]
async fn s10_the_new_owner_of_an_address_never_gets_the_old_owners_session() {
    let devices = StoreFile::new();
    let first = world(&devices, FakeClerkBuilder::no_rate_limit);
    enroll(&first, NEWDEVICE).await;
    rest().await;
    assert_eq!(first.get(NEWDEVICE).await.status(), 200);
    first.fake.change_email(NEWDEVICE.0, NEWDEVICE.0, "elsewhere@example.com");
    first.fake.add_user(FakeUser::new(NEWDEVICE.0).device_trust().password("the successor's"));
    devices.lose_logins().await;
    for world in [killed(&first, &devices), first] {
        let response = world.get((NEWDEVICE.0, "the successor's")).await;
        assert_eq!(code(&response), "account_action_required", "{}", response.body());
    }
}

/// Two users. The username of one is the phone number of the other, with different separators.
const NUMBER: Pair = ("+1 555 555 0123", "the one with the number");
const NAME: Pair = ("1-555-555-0123", "the one with the name");

/// Adds both users, and enrolls the device of the one with the number. Returns that user's id.
async fn number_and_name(world: &World) -> String {
    let about = FakeUser::new("+15555550123").email("number@example.com").device_trust();
    let number = world.fake.add_user(about.password(NUMBER.1));
    world.fake.add_user(FakeUser::new(NAME.0).email("name@example.com").device_trust().password(NAME.1));
    enroll_as(world, NUMBER, &number).await;
    rest().await;
    number
}

#[tokio::test(start_paused = true)]
async fn s10_a_username_like_a_phone_number_never_gets_that_numbers_session() {
    let devices = StoreFile::new();
    let first = world(&devices, FakeClerkBuilder::no_rate_limit);
    let number = number_and_name(&first).await;
    assert_eq!(session(&first.get(NUMBER).await).user_id(), number);
    rest().await;
    // While the engine has a session on the device, and after a restart that knows nothing of it.
    devices.lose_logins().await;
    for world in [first.clone(), killed(&first, &devices)] {
        let response = world.get(NAME).await;
        assert_eq!(code(&response), "account_action_required", "{}", response.body());
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_username_like_a_phone_number_takes_no_device_away() {
    let world = World::with(FakeClerkBuilder::no_rate_limit, |engine| engine);
    let number = number_and_name(&world).await;
    assert_eq!(code(&world.get(NAME).await), "account_action_required");
    assert_eq!(session(&world.get(NUMBER).await).user_id(), number);
}

/// Clerk may distinguish identifiers that case folding makes equal: `\u{130}` is a capital I with a dot.
#[tokio::test(start_paused = true)]
async fn s10_an_identifier_that_folds_like_another_users_gets_neither_its_session_nor_its_device() {
    for is_live in [true, false] {
        let world = World::unlimited();
        let (jane, other) =
            (("inci@example.com", "the password of one"), ("\u{130}nci@example.com", "another"));
        let jane_id = world.fake.add_user(FakeUser::new(jane.0).password(jane.1).device_trust());
        // With Device Trust, the other user's sign-in from a new client is incomplete; without, it is complete.
        let user = FakeUser::new(other.0).password(other.1);
        let other_id = world.fake.add_user(if is_live { user.device_trust() } else { user });
        enroll(&world, jane).await;
        if is_live {
            assert_eq!(session(&world.get(jane).await).user_id(), jane_id);
            assert_eq!(code(&world.get(other).await), "account_action_required");
        } else {
            assert_eq!(session(&world.get(other).await).user_id(), other_id);
        }
        rest().await;
        assert_eq!(session(&world.get(jane).await).user_id(), jane_id);
    }
}
