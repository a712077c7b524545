//! Known devices for a store that another process holds.

use std::fmt;
use std::path::{Path, PathBuf};

use super::device_file::{Line, encode};
use super::devices::Devices;
use super::journal::{State, hand_in};
use super::{DeviceStore, KnownDevice, StoreError, StoreErrorKind};

/// Hands devices to the process that holds a [`DeviceFile`](crate::store::DeviceFile): for a program that
/// [enrols](crate::Clerk::enroll) accounts while the server runs.
///
/// Each device becomes a file of its own beside the device file, for its owner alone. The holder takes it in when it is
/// asked for a device that it doesn't know, which it looks for ten times a second at most, or at its next start, and removes it. It takes nothing from another user, so
/// this is for a program that runs as the user whom the device file belongs to. On other systems than Unix there is no
/// such way: stop the server, and open the [`DeviceFile`](crate::store::DeviceFile).
///
/// As a store it knows no device, and forgets none.
///
/// ```no_run
/// use tower_clerk::Clerk;
/// use tower_clerk::store::DeviceInbox;
///
/// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")
///     .device_store(DeviceInbox::at("/var/lib/my-server/devices")?)
///     .build()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct DeviceInbox(PathBuf);

impl DeviceInbox {
    /// For the device file at this path.
    ///
    /// # Errors
    ///
    /// There is no file at the path, or something else.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // Made absolute, since the program may go to another directory.
        let absolute = std::path::absolute(path).map_err(|error| StoreError::io(path, error))?;
        match std::fs::symlink_metadata(&absolute) {
            Ok(found) if found.is_file() => Ok(Self(absolute)),
            Ok(_) => Err(StoreError::new(StoreErrorKind::NotAFile, path)),
            Err(error) => Err(StoreError::io(path, error)),
        }
    }

    /// Hands in a device that Clerk knows by this identifier, which must be trimmed and in lower case.
    ///
    /// As [`put`](DeviceStore::put), which only logs that it failed.
    ///
    /// # Errors
    ///
    /// The device file belongs to another user, there is no room, or the system refuses.
    pub fn hand_in(&self, identifier: &str, device: &KnownDevice) -> Result<(), StoreError> {
        let token = encode(device.client_token());
        let line = Line::put(identifier, device, &token);
        hand_in(&self.0, Devices::FORMAT, &line).map_err(|error| StoreError::io(&self.0, error))
    }
}

impl fmt::Debug for DeviceInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceInbox").field(&self.0).finish()
    }
}

impl DeviceStore for DeviceInbox {
    fn get(&self, _: &str) -> Option<KnownDevice> {
        None
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        if let Err(error) = self.hand_in(identifier, &device) {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(path = %self.0.display(), why, "a device could not be handed in");
        }
    }

    fn remove(&self, _: &str) {}

    fn remove_user(&self, _: &str) {}

    fn clear(&self) {}
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::super::testing::{Dir, device, text};
    use super::super::{DEVICE_LIFE, DeviceFile};
    use super::*;

    const NAME: &str = ".devices.enrolled.0123";

    /// A device file that is held, and what hands devices to its holder.
    fn held(dir: &Dir) -> (DeviceFile, DeviceInbox) {
        let path = dir.path("devices");
        (DeviceFile::open(&path).unwrap(), DeviceInbox::at(&path).unwrap())
    }

    /// Asked a while after the last look.
    fn get(devices: &DeviceFile, identifier: &str) -> Option<KnownDevice> {
        devices.forget_look();
        devices.get(identifier)
    }

    fn token(devices: &DeviceFile, identifier: &str) -> Option<String> {
        get(devices, identifier).map(|device| device.client_token().to_owned())
    }

    /// What a device that was handed in looks like.
    fn entry(dir: &Dir) -> String {
        let (devices, inbox) = held(dir);
        inbox.hand_in("ada", &device("user_1", "very-secret")).unwrap();
        let name = dir.names().into_iter().find(|name| name.starts_with(".devices.enrolled.")).unwrap();
        let entry = text(&dir.path(&name));
        fs::remove_file(dir.path(&name)).unwrap();
        drop(devices);
        fs::remove_file(dir.path("devices")).unwrap();
        entry
    }

    fn plant(dir: &Dir, name: &str, content: &str, mode: u32) {
        let path = dir.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn s10_a_device_that_is_handed_in_is_taken_in_by_the_holder() {
        let dir = Dir::new();
        let (devices, inbox) = held(&dir);
        inbox.put("ada", device("user_1", "one"));
        assert!(inbox.get("ada").is_none());
        inbox.remove("ada");
        inbox.remove_user("user_1");
        inbox.clear();
        assert_eq!(dir.names().len(), 2);
        assert_eq!(token(&devices, "ada").unwrap(), "one");
        assert_eq!(dir.names(), ["devices"]);
        assert!(get(&devices, "bob").is_none());
        // By a miss of somebody else's, too.
        inbox.put("bob", device("user_2", "two"));
        assert!(get(&devices, "carol").is_none());
        assert_eq!(dir.names(), ["devices"]);
        // It outlives the holder.
        drop(devices);
        let (devices, _) = held(&dir);
        assert_eq!(
            (token(&devices, "ada").unwrap(), token(&devices, "bob").unwrap()),
            ("one".into(), "two".into())
        );
    }

    #[test]
    fn s10_a_device_that_is_handed_in_is_taken_in_at_the_next_start() {
        let dir = Dir::new();
        let (devices, inbox) = held(&dir);
        drop(devices);
        inbox.put("ada", device("user_1", "one"));
        let (devices, _) = held(&dir);
        assert_eq!(dir.names(), ["devices"]);
        assert_eq!(token(&devices, "ada").unwrap(), "one");
    }

    #[test]
    fn k9_what_is_forgotten_is_not_taken_in_afterwards() {
        let dir = Dir::new();
        let (devices, inbox) = held(&dir);
        for forget in [|it: &DeviceFile| it.remove_user("user_1"), |it: &DeviceFile| it.clear()] {
            inbox.put("ada", device("user_1", "one"));
            forget(&devices);
            assert!(get(&devices, "ada").is_none());
            assert_eq!(dir.names(), ["devices"]);
        }
    }

    #[test]
    fn of_two_devices_the_one_seen_last_stays() {
        let dir = Dir::new();
        let (devices, inbox) = held(&dir);
        let seen = |token: &str, ago| {
            KnownDevice::new("user_1", token, SystemTime::now() - Duration::from_secs(ago))
        };
        devices.put("ada", seen("known", 10));
        for (ago, stays) in [(20, "known"), (5, "5 s ago")] {
            inbox.put("ada", seen(&format!("{ago} s ago"), ago));
            assert!(get(&devices, "nobody").is_none());
            assert_eq!(token(&devices, "ada").unwrap(), stays);
            assert_eq!(dir.names(), ["devices"], "either way it has been dealt with");
        }
        // One that is of no use any more is for the engine to judge, and gone at the next start.
        inbox.put("bob", seen("old", DEVICE_LIFE.as_secs() + 1));
        assert!(get(&devices, "bob").is_some());
    }

    #[test]
    fn s10_what_others_may_have_put_there_is_left_alone() {
        let dir = Dir::new();
        let entry = entry(&dir);
        let (header, line) = entry.trim_end().split_once('\n').unwrap();
        let (devices, _) = held(&dir);
        let removal = format!("{header}\n{{\"remove\":{{\"identifier\":\"ada\"}}}}\n");
        let padded = format!("{header}\n{}{}\n", line, " ".repeat(64 * 1024));
        for (content, mode) in [
            (&*entry, 0o640),
            (&entry, 0o604),
            (&entry, 0o610),
            ("", 0o600),
            ("very-secret\n", 0o600),
            (header, 0o600),
            (&entry[..entry.len() - 1], 0o600),
            (&format!("{entry}{line}\n"), 0o600),
            (&entry.replace("devices", "sessions"), 0o600),
            (&entry.replace("\"version\":1", "\"version\":2"), 0o600),
            (&removal, 0o600),
            (&padded, 0o600),
        ] {
            plant(&dir, NAME, content, mode);
            assert!(get(&devices, "ada").is_none(), "{content} {mode:o}");
            assert_eq!(text(&dir.path(NAME)), content);
            fs::remove_file(dir.path(NAME)).unwrap();
        }
        // What leads elsewhere, and what isn't called so.
        plant(&dir, "elsewhere", &entry, 0o600);
        symlink(dir.path("elsewhere"), dir.path(NAME)).unwrap();
        plant(&dir, ".other.enrolled.0123", &entry, 0o600);
        plant(&dir, ".devices.enrolling.0123", &entry, 0o600);
        fs::create_dir(dir.path(".devices.enrolled.4567")).unwrap();
        assert!(get(&devices, "ada").is_none());
        assert_eq!(dir.names().len(), 6);
        // The same is taken in where nothing is wrong with it.
        plant(&dir, ".devices.enrolled.89ab", &entry, 0o600);
        assert_eq!(token(&devices, "ada").unwrap(), "very-secret");
    }

    #[test]
    fn s10_nothing_goes_from_one_user_to_another() {
        use std::os::unix::fs::{MetadataExt, chown};

        let dir = Dir::new();
        let entry = entry(&dir);
        let (devices, inbox) = held(&dir);
        plant(&dir, NAME, &entry, 0o600);
        let other = fs::metadata(dir.path(NAME)).unwrap().uid() + 1;
        if chown(dir.path(NAME), Some(other), None).is_err() {
            // It takes root to try this.
            return;
        }
        assert!(get(&devices, "ada").is_none());
        fs::remove_file(dir.path(NAME)).unwrap();
        // Who replaces the path doesn't become the owner of what is held.
        chown(dir.path("devices"), Some(other), None).unwrap();
        plant(&dir, NAME, &entry, 0o600);
        chown(dir.path(NAME), Some(other), None).unwrap();
        assert!(get(&devices, "ada").is_none());
        fs::remove_file(dir.path(NAME)).unwrap();
        // And who would hand something in to another's file is told.
        assert!(inbox.hand_in("ada", &device("user_1", "t")).is_err());
        assert_eq!(dir.names(), ["devices"]);
    }

    #[test]
    fn c6_what_is_handed_in_is_its_owners_alone_and_a_crash_leaves_nothing_for_long() {
        let dir = Dir::new();
        let (devices, inbox) = held(&dir);
        inbox.put("ada", device("user_1", "very-secret"));
        let name = dir.names().into_iter().find(|name| name.starts_with(".devices.enrolled.")).unwrap();
        assert_eq!(fs::metadata(dir.path(&name)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{inbox:?}").contains("secret"));
        drop(devices);

        let begun = dir.path(".devices.enrolling.0123");
        fs::write(&begun, "very-secret").unwrap();
        drop(held(&dir));
        assert!(begun.exists(), "it may be about to be finished");
        let hour = Duration::from_secs(3600);
        fs::File::options().write(true).open(&begun).unwrap().set_modified(SystemTime::now() - hour).unwrap();
        drop(held(&dir));
        assert!(!begun.exists());
    }

    #[test]
    fn what_cannot_be_handed_in_is_said() {
        let dir = Dir::new();
        let kind = |path| DeviceInbox::at(path).unwrap_err().kind();
        assert_eq!(kind(dir.path("nothing")), StoreErrorKind::Io);
        assert_eq!(kind(dir.path("")), StoreErrorKind::NotAFile);
        symlink("nowhere", dir.path("link")).unwrap();
        assert_eq!(kind(dir.path("link")), StoreErrorKind::NotAFile);

        let (_devices, inbox) = held(&dir);
        let large = "\u{1}".repeat(12 * 1024);
        assert_eq!(inbox.hand_in(&large, &device("user_1", "t")).unwrap_err().kind(), StoreErrorKind::Io);
        assert_eq!(dir.names().len(), 2, "nothing is left of it");
        fs::remove_file(dir.path("devices")).unwrap();
        assert!(inbox.hand_in("ada", &device("user_1", "t")).is_err());
        assert_eq!(dir.names(), ["link"]);
    }
}
