//! Identity that a client sends itself, in twenty spellings, on each way to the upstream (rule A10).

use std::net::SocketAddr;

use crate::harness::{CAROL, Gateway, Seen, ask, basic, get};
use crate::proxies::{caddy, nginx};

/// Lines of a header. Each is sent in a request of its own, by a user without an organization.
const SPELLINGS: [&[u8]; 20] = [
    b"X-Clerk-User-Id: user_forged\r\n",
    b"x-clerk-user-id: user_forged\r\n",
    b"X_Clerk_User_Id: user_forged\r\n",
    b"X-Clerk_User-Id: user_forged\r\n",
    b"x.clerk.user.id: user_forged\r\n",
    b"X~Clerk|User^Id: user_forged\r\n",
    b"X-CLERK-ORG-ROLE: org:admin\r\n",
    b"X-Clerk-Org-Id: org_forged\r\nX-Clerk-Org-Id: org_other\r\n",
    b"X-Clerk-Org-Id:\r\nX_Clerk_Org_Id: org_forged\r\n",
    b"X-Clerk-Org-Slug : acme\r\n",
    b"X-A: b\r\n X-Clerk-Org-Slug: acme\r\n",
    b"X-A: b\rX-Clerk-Org-Slug: acme\r\n",
    b"X-Clerk-Org-Slug\0: acme\r\n",
    b"X-Clerk-\xc3\x9cser-Id: user_forged\r\nX-Clerk-User\xadId: user_forged\r\n",
    b"X-Clerk-User-Id: user_forg\xe9d\r\n",
    b"X-Clerk-Org-Permissions: %6Frg:invoices:manage\r\nX%2DClerk%2DUser%2DId: user_forged\r\n",
    b"Connection: X-Clerk-User-Id\r\n",
    b"Connection: close, x_clerk_session_id\r\nConnection: X-Clerk-User-Id , Authorization\r\n",
    b"Connection: keep-alive, X-A\r\nX-A: X-Clerk-User-Id\r\nX-Clerk-User-Id: user_forged\r\n",
    b"Keep-Alive: X-Clerk-User-Id\r\nTE: X-Clerk-User-Id\r\nX-Clerk-Session-Id:\tsess_forged\r\n",
];

/// A request with such lines, and as many more as a client can think of.
fn requests(path: &str) -> Vec<Vec<u8>> {
    let authorization = basic(CAROL);
    let mut requests: Vec<Vec<u8>> = SPELLINGS.iter().map(|lines| with_lines(path, lines)).collect();
    // Over-long, by value and by name.
    requests.push(with_lines(path, format!("X-Clerk-User-Id: {}\r\n", "a".repeat(7000)).as_bytes()));
    requests
        .push(with_lines(path, format!("X-Clerk-User-Id{}: user_forged\r\n", "-".repeat(7000)).as_bytes()));
    // As trailers, named and not named.
    for named in ["Trailer: X-Clerk-User-Id, X_Clerk_Org_Id, Authorization, X-Kept\r\n", ""] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: api.example\r\n{authorization}{named}Transfer-Encoding: chunked\r\n\r\n"
        );
        let trailers =
            "X-Clerk-User-Id: user_forged\r\nX_Clerk_Org_Id: org_forged\r\nAuthorization: Bearer x\r\n";
        requests.push(format!("{head}1\r\na\r\n0\r\n{trailers}X-Kept: 1\r\n\r\n").into_bytes());
    }
    requests
}

fn with_lines(path: &str, lines: &[u8]) -> Vec<u8> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: api.example\r\n{}", basic(CAROL)).into_bytes();
    request.extend(lines);
    request.extend(b"\r\n");
    request
}

/// The fields that a server could take for the identity, with names as it would read them, sorted.
fn identity(fields: &[(String, String)]) -> Vec<(String, String)> {
    const NAMES: [&str; 7] = [
        "authorization",
        "x-clerk-user-id",
        "x-clerk-session-id",
        "x-clerk-org-id",
        "x-clerk-org-slug",
        "x-clerk-org-role",
        "x-clerk-org-permissions",
    ];
    let read = |name: &str| -> String {
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
    };
    let mut identity: Vec<_> = fields
        .iter()
        .map(|(name, value)| (read(name), value.clone()))
        .filter(|(name, _)| NAMES.contains(&&**name))
        .collect();
    identity.sort();
    identity
}

/// Sends each request, and compares what arrives with what arrives of an honest one. Returns the number of those that
/// were let in.
pub(crate) fn survivors(address: SocketAddr, path: &str) -> usize {
    let honest = ask(address, &get(path, &[&basic(CAROL)])).seen();
    let expected = identity(&honest.fields);
    let mut let_in = 0;
    for request in requests(path) {
        let shown = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
        let answer = ask(address, &request);
        if answer.status != 200 {
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
            continue;
        }
        let_in += 1;
        let Seen { fields, trailers, .. } = answer.seen();
        assert_eq!(identity(&fields), expected, "{shown}");
        assert_eq!(identity(&trailers), [], "{shown}");
    }
    let_in
}

#[test]
fn a10_no_spelling_of_an_identity_field_survives_the_gateway() {
    for identity in ["headers", "bearer"] {
        let gateway = Gateway::start(&[("IDENTITY", identity)]);
        assert!(survivors(gateway.address, "/anything") >= 15, "most of them are legal requests");
    }
}

#[test]
fn a10_no_spelling_of_an_identity_field_changes_the_answer_to_a_proxy() {
    let gateway = Gateway::start(&[("FORWARD_AUTH", "caddy")]);
    let original = b"X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n";
    let honest = ask(gateway.address, &with_lines("/auth", original));
    assert_eq!(honest.status, 200);
    for lines in SPELLINGS {
        let answer = ask(gateway.address, &with_lines("/auth", &[lines, original].concat()));
        if answer.status == 200 {
            assert_eq!(identity(&answer.fields), identity(&honest.fields));
        }
    }
}

#[test]
fn a10_no_spelling_of_an_identity_field_survives_nginx_or_caddy() {
    for identity in ["headers", "bearer"] {
        let gateway = |proxy| Gateway::start(&[("IDENTITY", identity), ("FORWARD_AUTH", proxy)]);
        let of_nginx = gateway("nginx");
        if let Some(nginx) = nginx(&of_nginx, of_nginx.echo.unwrap()) {
            assert!(survivors(nginx.address, "/closed") >= 10);
            assert!(survivors(nginx.address, "/public/a") >= 10);
        }
        if identity == "headers" {
            let of_caddy = gateway("caddy");
            if let Some(caddy) = caddy(&of_caddy, of_caddy.echo.unwrap()) {
                assert!(survivors(caddy.address, "/closed") >= 10);
                assert!(survivors(caddy.address, "/public/a") >= 10);
            }
        }
    }
}
