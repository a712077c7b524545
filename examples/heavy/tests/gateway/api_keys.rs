//! API keys behind nginx and Caddy, with the configurations that are beside the example.

use crate::forward_auth::KEY;
use crate::harness::{JANE, ask, basic, get};
use crate::proxies::each;

#[test]
fn t4_proxies_pass_on_the_identity_of_an_api_key_and_none_that_a_client_forges() {
    const FORGED: &str = "X-Clerk-Api-Key-Id: ak_forged\r\nX-Clerk-Api-Key-Subject: org_forged\r\n\
                          X-Clerk-Api-Key-Scopes: everything\r\nX-Clerk-User-Id: user_forged\r\n";
    for settings in [&[("IDENTITY", "headers"), ("ACCEPT_API_KEYS", "1")][..], &[("IDENTITY", "headers")]] {
        each(settings, |name, _, address| {
            for path in ["/a", "/public/a"] {
                let seen = ask(address, &get(path, &[&basic(JANE), FORGED])).seen();
                for field in ["x-clerk-api-key-id", "x-clerk-api-key-subject", "x-clerk-api-key-scopes"] {
                    let value = seen.field(field).unwrap_or_default();
                    assert_eq!(value, "", "{name} passes a forged {field} on, {path}");
                }
            }
            if settings.len() > 1 {
                let seen = ask(address, &get("/a", &[&basic(KEY), FORGED])).seen();
                assert_eq!(seen.field("x-clerk-api-key-scopes"), Some("invoices:read"), "{name}");
                assert!(seen.field("x-clerk-api-key-subject").unwrap().starts_with("user_2"), "{name}");
                assert!(seen.field("x-clerk-api-key-id").is_some_and(|id| id != "ak_forged"), "{name}");
                assert_eq!(seen.field("x-clerk-user-id").unwrap_or_default(), "", "{name}");
            }
        });
    }
}
