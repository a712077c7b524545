//! The fields by which the upstream learns of the user, and of the way of the request (rules A5 and A10).

use crate::harness::{BOB, CAROL, Gateway, JANE, ask, basic, get};

#[test]
fn a5_the_upstream_gets_a_jwt_in_place_of_the_password() {
    let gateway = Gateway::start(&[]);
    for path in ["/anything", "/anything?a=%2F&b", "/%61/..;/b", "/auth"] {
        let answer = ask(gateway.address, &get(path, &[&basic(JANE)]));
        let seen = answer.seen();
        assert_eq!((&seen.json["method"], &seen.json["path"]), (&"GET".into(), &path.into()));
        let bearer = seen.field("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(bearer.split('.').count(), 3, "{bearer}");
        assert!(!seen.fields.iter().any(|(name, _)| name.contains("clerk")), "{:?}", seen.fields);
    }
    for (pair, status, code) in [
        (None, 401, "credentials_missing"),
        (Some("jane@example.com:wrong"), 401, "credentials_rejected"),
        (Some("mfa@example.com:second factor please"), 403, "second_factor_required"),
    ] {
        let answer = ask(gateway.address, &get("/anything", &[&pair.map(basic).unwrap_or_default()]));
        assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()));
        assert_eq!(answer.field("www-authenticate").is_some(), status == 401);
        assert_eq!(answer.field("cache-control"), Some("no-store"));
    }
    let health = ask(gateway.address, &get("/healthz", &[]));
    assert_eq!((health.status, &*health.body), (200, &b"ok"[..]));
}

#[test]
fn a10_the_upstream_gets_the_identity_of_the_session() {
    let gateway = Gateway::start(&[("IDENTITY", "headers"), ("ORGANIZATION_PATH", "/orgs/{org}/{*rest}")]);
    let seen = ask(gateway.address, &get("/orgs/acme/me", &[&basic(JANE)])).seen();
    assert_eq!(seen.field("authorization"), None);
    assert!(seen.field("x-clerk-user-id").unwrap().starts_with("user_"));
    assert!(seen.field("x-clerk-session-id").unwrap().starts_with("sess_"));
    assert_eq!(seen.field("x-clerk-org-slug"), Some("acme"));
    assert_eq!(seen.field("x-clerk-org-role"), Some("org:admin"));
    assert_eq!(seen.field("x-clerk-org-permissions"), Some("org:invoices:read,org:invoices:manage"));

    // A path that doesn't match, or that a server further in may read as another one, is refused.
    for path in [
        "/",
        "/orgs/acme",
        "/me",
        "//orgs/acme/me",
        "/orgs/acme/../globex/me",
        "/orgs/acme/%2e%2e/globex/me",
        "/orgs/acme/..;/globex/me",
        "/orgs/acme%2f..%2fglobex/me",
        "/orgs/acme/..\\globex/me",
    ] {
        let answer = ask(gateway.address, &get(path, &[&basic(JANE)]));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (403, &"organization_forbidden".into()),
            "{path}"
        );
    }
    assert_eq!(ask(gateway.address, &get("/orgs/globex/me", &[&basic(BOB)])).status, 403);
}

#[test]
fn a10_an_organization_by_setting_is_every_requests() {
    let gateway = Gateway::start(&[("IDENTITY", "headers"), ("CLERK_ORGANIZATION", "globex")]);
    let seen = ask(gateway.address, &get("/orgs/acme/me", &[&basic(JANE)])).seen();
    assert_eq!(seen.field("x-clerk-org-slug"), Some("globex"));
    assert_eq!(ask(gateway.address, &get("/", &[&basic(CAROL)])).status, 403);
    // A pattern comes before it, also for paths that don't match.
    let path = ("ORGANIZATION_PATH", "/{service}/{org}");
    let gateway = Gateway::start(&[("IDENTITY", "headers"), ("CLERK_ORGANIZATION", "globex"), path]);
    let seen = ask(gateway.address, &get("/a/acme", &[&basic(JANE)])).seen();
    assert_eq!(seen.field("x-clerk-org-slug"), Some("acme"));
    assert_eq!(ask(gateway.address, &get("/acme", &[&basic(JANE)])).status, 403);
}

#[test]
fn a7_a_pages_own_fetch_gets_no_prompt_where_that_is_set() {
    for (setting, to_fetch) in [("1", "xBasic realm="), ("", "Basic realm=")] {
        let gateway = Gateway::start(&[("NO_PROMPT_FOR_FETCH", setting), ("FORWARD_AUTH", "caddy")]);
        let original = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n";
        for (path, lines) in [("/", ""), ("/auth", original)] {
            for (fetch, expected) in
                [("Sec-Fetch-Dest: empty\r\n", to_fetch), ("Sec-Fetch-Dest: document\r\n", "Basic realm=")]
            {
                let answer = ask(gateway.address, &get(path, &[fetch, lines]));
                assert_eq!(answer.status, 401);
                let challenge = answer.field("www-authenticate").unwrap();
                assert!(challenge.starts_with(expected), "{setting} {path} {fetch}: {challenge}");
            }
        }
    }
}

#[test]
fn a10_the_way_of_a_request_is_told_by_trusted_proxies_alone() {
    let lines = [
        "X-Forwarded-For: 203.0.113.9\r\n",
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Host: www.example\r\n",
        "X-Forwarded-Prefix: /admin\r\n",
        "X_Forwarded_For: 203.0.113.9\r\n",
        "Forwarded: for=203.0.113.9\r\n",
        "X-Real-IP: 203.0.113.9\r\n",
        "X-Original-URL: /admin\r\n",
    ];
    let request = get("/", &[&[&*basic(JANE)], &lines[..]].concat());
    for (trusted, client, scheme, host) in [
        ("", "127.0.0.1", "http", "api.example"),
        ("10.0.0.0/8,::1", "127.0.0.1", "http", "api.example"),
        ("127.0.0.0/8", "203.0.113.9", "https", "www.example"),
    ] {
        let gateway = Gateway::start(&[("TRUSTED_PROXIES", trusted)]);
        let seen = ask(gateway.address, &request).seen();
        assert_eq!(seen.field("x-forwarded-for"), Some(client));
        assert_eq!(seen.field("x-forwarded-proto"), Some(scheme));
        assert_eq!(seen.field("x-forwarded-host"), Some(host));
        let forwarded = format!("for={client};host=\"{host}\";proto={scheme}");
        assert_eq!(seen.field("forwarded"), Some(&*forwarded));
        assert_eq!(seen.field("host").unwrap().parse(), Ok(gateway.echo.unwrap()));
        for name in ["x-real-ip", "x_forwarded_for", "x-forwarded-prefix", "x-original-url"] {
            assert_eq!(seen.field(name), None);
        }
    }
}

#[test]
fn a10_a_client_takes_no_field_about_the_way_out_of_the_request() {
    let gateway = Gateway::start(&[("TRUSTED_PROXIES", "127.0.0.0/8")]);
    // The proxy in front has passed `Connection` on. Without the fields, the upstream would take the proxy for the client.
    let lines = [
        "X-Forwarded-For: 203.0.113.9\r\n",
        "X-Forwarded-Proto: https\r\n",
        "Connection: X-Forwarded-For, x-forwarded-proto, Host, Forwarded\r\n",
    ];
    let seen = ask(gateway.address, &get("/", &[&[&*basic(JANE)], &lines[..]].concat())).seen();
    assert_eq!(seen.field("x-forwarded-for"), Some("203.0.113.9"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.field("x-forwarded-host"), Some("api.example"));

    // A list, or two lines, may begin with the client's own.
    for forged in [
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Host: www.example\r\n",
        "X-Forwarded-Host: evil.example,www.example\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
    ] {
        let seen = ask(gateway.address, &get("/", &[&basic(JANE), forged])).seen();
        assert_eq!(seen.field("x-forwarded-host"), Some("api.example"), "{forged}");
        assert_eq!(seen.field("x-forwarded-proto"), Some("http"), "{forged}");
    }
}

#[test]
fn a10_fields_of_one_connection_and_repeated_hosts_go_no_further() {
    let gateway = Gateway::start(&[]);
    let lines = [
        "Connection: keep-alive, X-Hop\r\n",
        "X-Hop: 1\r\n",
        "Keep-Alive: timeout=5\r\n",
        "Proxy-Authorization: Basic x\r\n",
        "TE: trailers\r\n",
        "X-Kept: 1\r\n",
        "Cookie: a=1\r\n",
        "Cookie: b=2\r\n",
    ];
    let seen = ask(gateway.address, &get("/", &[&[&*basic(JANE)], &lines[..]].concat())).seen();
    for name in ["connection", "x-hop", "keep-alive", "proxy-authorization"] {
        assert_eq!(seen.field(name), None);
    }
    assert_eq!((seen.field("te"), seen.field("x-kept")), (Some("trailers"), Some("1")));
    assert_eq!(seen.field("cookie"), Some("a=1; b=2"));
    let two_hosts = get("/", &[&basic(JANE), "Host: www.example\r\n"]);
    assert_eq!(ask(gateway.address, &two_hosts).status, 400);
    // The request line names the host, whatever `Host` says.
    let seen = ask(gateway.address, &get("http://www.example/a?b", &[&basic(JANE)])).seen();
    assert_eq!((&seen.json["path"], seen.field("x-forwarded-host")), (&"/a?b".into(), Some("www.example")));
    let seen = ask(gateway.address, &get("http://api@www.example/", &[&basic(JANE)])).seen();
    assert_eq!(seen.field("x-forwarded-host"), None);
}
