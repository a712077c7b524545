//! `GET /auth`, asked as a proxy asks (rule A10).

use crate::harness::{BOB, CAROL, Gateway, JANE, ask, basic, get};

/// The two fields for the original request, by the proxy that sends them.
const FAMILIES: [(&str, [&str; 2]); 3] = [
    ("nginx", ["X-Original-Method", "X-Original-URI"]),
    ("caddy", ["X-Forwarded-Method", "X-Forwarded-Uri"]),
    ("traefik", ["X-Forwarded-Method", "X-Forwarded-Uri"]),
];

fn original([method, uri]: [&str; 2], path: &str) -> String {
    format!("{method}: GET\r\n{uri}: {path}\r\n")
}

#[test]
fn a10_the_answer_to_a_proxy_names_the_identity_and_leaves_no_field_out() {
    for (proxy, family) in FAMILIES {
        let gateway = Gateway::start(&[("FORWARD_AUTH", proxy), ("IDENTITY", "headers")]);
        let answer = ask(gateway.address, &get("/auth", &[&basic(CAROL), &original(family, "/a")]));
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(answer.field("x-clerk-user-id").unwrap().starts_with("user_"));
        assert!(answer.field("x-clerk-session-id").unwrap().starts_with("sess_"));
        for absent in ["x-clerk-org-id", "x-clerk-org-slug", "x-clerk-org-role", "x-clerk-org-permissions"] {
            assert_eq!(answer.field(absent), Some(""), "{absent}");
        }
        assert_eq!((answer.field("authorization"), answer.field("cache-control")), (None, Some("no-store")));
    }
    let gateway = Gateway::start(&[("FORWARD_AUTH", "nginx"), ("IDENTITY", "bearer")]);
    let answer = ask(gateway.address, &get("/auth", &[&basic(JANE), &original(FAMILIES[0].1, "/a")]));
    assert!(answer.field("authorization").unwrap().starts_with("Bearer ey"));
    assert!(answer.field("x-clerk-user-id").is_some());
}

#[test]
fn a10_the_organization_is_that_of_the_original_uri() {
    for (proxy, family) in FAMILIES {
        let path = ("ORGANIZATION_PATH", "/orgs/{org}/{*rest}");
        let gateway = Gateway::start(&[("FORWARD_AUTH", proxy), ("IDENTITY", "headers"), path]);
        let slug = |pair: &str, lines: &str| {
            let answer = ask(gateway.address, &get("/auth", &[&basic(pair), lines]));
            (answer.status, answer.field("x-clerk-org-slug").map(str::to_owned))
        };
        for organization in ["acme", "globex"] {
            let lines = original(family, &format!("/orgs/{organization}/me?org=initech"));
            assert_eq!(slug(JANE, &lines), (200, Some(organization.to_owned())));
        }
        let honest = original(family, "/orgs/acme/me");
        assert_eq!(slug(BOB, &original(family, "/orgs/globex/me")).0, 403);

        // Another family's fields, and lines that are missing, repeated, spelled otherwise or malformed.
        let others = FAMILIES.map(|(_, other)| other).into_iter().filter(|other| *other != family);
        let mut refused: Vec<String> = others
            .flat_map(|other| {
                [original(other, "/orgs/globex/me"), format!("{}: /orgs/globex/me\r\n", other[1])]
            })
            .flat_map(|forged| [honest.clone() + &forged, forged])
            .collect();
        let [method, uri] = family;
        refused.extend([
            String::new(),
            format!("{uri}: /orgs/acme/me\r\n"),
            format!("{method}: GET\r\n"),
            format!("{honest}{uri}: /orgs/globex/me\r\n"),
            format!("{honest}{method}: GET\r\n"),
            format!("{honest}{}: /orgs/globex/me\r\n", uri.replace('-', "_")),
            original(family, "orgs/acme/me"),
            original(family, "/orgs/acme/../globex/me"),
            original(family, "/elsewhere"),
            original(family, "/orgs/acme/me\u{e9}"),
            original(family, ""),
        ]);
        for lines in refused {
            let answer = ask(gateway.address, &get("/auth", &[&basic(JANE), &lines]));
            assert_eq!(answer.status, 403, "{proxy}: {lines}");
        }
        // Fields that mean the original URI elsewhere are not read.
        for ignored in ["X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path", "X-Forwarded-Prefix"] {
            let lines = format!("{honest}{ignored}: /orgs/globex/me\r\n");
            assert_eq!(slug(JANE, &lines), (200, Some("acme".to_owned())), "{ignored}");
        }
    }
}

#[test]
fn a10_a_refusal_to_a_proxy_is_no_success_and_only_get_asks() {
    let gateway = Gateway::start(&[("FORWARD_AUTH", "caddy")]);
    let lines = original(FAMILIES[1].1, "/a");
    for (pair, expected) in [
        ("", 401),
        ("jane@example.com:wrong", 401),
        ("mfa@example.com:second factor please", 403),
        ("newdevice@example.com:trust me on a device", 403),
    ] {
        for more in
            ["", "Content-Type: application/grpc\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n"]
        {
            let authorization = if pair.is_empty() { String::new() } else { basic(pair) };
            let answer = ask(gateway.address, &get("/auth", &[&authorization, &lines, more]));
            assert_eq!(answer.status, expected, "{pair} {more}");
            assert_eq!(answer.field("www-authenticate").is_some(), expected == 401);
        }
    }
    let request = get("/auth", &[&basic(JANE), &lines, "Content-Length: 0\r\n"]);
    let post = String::from_utf8(request).unwrap().replacen("GET", "POST", 1);
    assert_eq!(ask(gateway.address, post.as_bytes()).status, 405);
}

/// The key of jane that each stand-in has.
pub(crate) const KEY: &str = "__token__:ak_4lluZtXyjjvODUza0zcOo95evMLoJA6Rz20uIbUY";

#[test]
fn t4_an_api_key_is_let_in_with_fields_of_its_own_alone() {
    let settings = [("FORWARD_AUTH", "nginx"), ("IDENTITY", "headers"), ("ACCEPT_API_KEYS", "1")];
    let gateway = Gateway::start(&settings);
    let answer = ask(gateway.address, &get("/auth", &[&basic(KEY), &original(FAMILIES[0].1, "/a")]));
    assert_eq!((answer.status, answer.field("authorization")), (200, None));
    assert!(answer.field("x-clerk-api-key-subject").unwrap().starts_with("user_"));
    for of_session in ["x-clerk-user-id", "x-clerk-session-id", "x-clerk-org-id"] {
        assert_eq!(answer.field(of_session), Some(""), "{of_session}");
    }
    let seen = ask(gateway.address, &get("/a", &[&basic(KEY), "X-Clerk-User-Id: user_forged\r\n"]));
    let seen = seen.seen();
    assert_eq!(seen.field("x-clerk-api-key-scopes"), Some("invoices:read"));
    assert_eq!((seen.field("x-clerk-user-id"), seen.field("authorization")), (None, None));
    let answer = ask(gateway.address, &get("/a", &[&basic("__token__:ak_made-up")]));
    assert_eq!(answer.status, 401);
}
