//! Ready selectors of the organization of a request (rule A8).

use std::time::Duration;

use axum::extract::{OriginalUri, Request as AxumRequest};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{AUTHORIZATION, HOST};
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::Endpoint;
use tower_clerk::{
    AuthorizationHeader, ClerkBasicAuthLayer, ClerkSession, OrganizationSelector, RequestOrganization,
};

use crate::common::{
    BOB, CAROL, JANE, Pair, World, ask, authorization, basic, code, in_time, organization_of,
    run_ready_tasks, session, wire, with_authorization,
};

const WRONG: &str = "a wrong password";

/// A selector, and the request that it finds an organization in.
struct Kind {
    name: &'static str,
    selector: fn() -> OrganizationSelector,
    request: fn((&str, &str), &str) -> Request<()>,
}

const PATH: Kind = Kind {
    name: "path",
    selector: || OrganizationSelector::path("/orgs/{org}/me"),
    request: |pair, organization| of_path(pair, &format!("/orgs/{organization}/me")),
};

const HEADER: Kind = Kind {
    name: "header",
    selector: || OrganizationSelector::header("x-organization"),
    request: |pair, organization| {
        let mut request = basic(pair);
        request.headers_mut().insert("x-organization", organization.parse().unwrap());
        request
    },
};

const HOST_LABEL: Kind = Kind {
    name: "host",
    selector: || OrganizationSelector::host("example.com"),
    request: |pair, organization| {
        let mut request = basic(pair);
        request.headers_mut().insert(HOST, format!("{organization}.example.com").parse().unwrap());
        request
    },
};

const SUFFIX: Kind = Kind {
    name: "suffix",
    selector: || suffix(["acme", "globex"]),
    request: |(identifier, password), organization| {
        basic((&format!("{identifier}/{organization}"), password))
    },
};

const KINDS: [&Kind; 4] = [&PATH, &HEADER, &HOST_LABEL, &SUFFIX];

fn suffix<const N: usize>(allowed: [&str; N]) -> OrganizationSelector {
    OrganizationSelector::identifier_suffix('/', allowed)
}

fn of_path(pair: (&str, &str), path: &str) -> Request<()> {
    let mut request = basic(pair);
    *request.uri_mut() = path.parse().unwrap();
    request
}

impl Kind {
    fn layer(&self, world: &World) -> ClerkBasicAuthLayer {
        world.layer().organization_by((self.selector)()).unwrap()
    }

    /// A layer of this selector that serves `acme` alone.
    fn acme_layer(&self, world: &World) -> ClerkBasicAuthLayer {
        let selector = match self.name {
            "suffix" => suffix(["acme"]),
            _ => (self.selector)().allow(["acme"]),
        };
        world.layer().organization_by(selector).unwrap()
    }
}

/// The calls that are about an organization, or for a token of one.
fn organization_calls(world: &World) -> usize {
    let endpoints = [Endpoint::Touch, Endpoint::Tokens, Endpoint::BackendTokens, Endpoint::UserMemberships];
    endpoints.into_iter().map(|endpoint| world.fake.count(endpoint)).sum()
}

fn worlds() -> [World; 2] {
    [
        World::unlimited(),
        World::backend_with(|fake| fake.no_rate_limit(), |engine| engine.unlimited_sign_ins()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a8_each_selector_lets_members_in_and_only_them() {
    for kind in KINDS {
        for world in worlds() {
            let layer = kind.layer(&world);
            // The second round is answered from memory.
            for calls in [None, Some(0)] {
                world.fake.clear_log();
                for organization in ["acme", "globex"] {
                    let response = ask(&layer, (kind.request)(JANE, organization)).await;
                    assert_eq!(organization_of(&response), Some(organization), "{}", kind.name);
                }
                let response = ask(&layer, (kind.request)(BOB, "acme")).await;
                assert_eq!(organization_of(&response), Some("acme"), "{}", kind.name);
                for (pair, organization) in [(BOB, "globex"), (CAROL, "acme")] {
                    let response = ask(&layer, (kind.request)(pair, organization)).await;
                    assert_eq!(code(&response), "organization_forbidden", "{} {organization}", kind.name);
                }
                if let Some(calls) = calls {
                    assert_eq!(world.fake.count(Endpoint::Any), calls, "{}", kind.name);
                }
            }
            let response = ask(&layer, (kind.request)((JANE.0, WRONG), "acme")).await;
            assert_eq!(code(&response), "credentials_rejected", "{}", kind.name);
        }
    }
}

/// The user's personal session is cached, and still no request gets it.
#[tokio::test(start_paused = true)]
async fn a8_a_request_in_which_a_selector_finds_nothing_is_forbidden_before_the_proof() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.clear_log();
    for kind in KINDS {
        let layer = kind.layer(&world);
        for pair in [JANE, (JANE.0, WRONG)] {
            assert_eq!(code(&ask(&layer, basic(pair)).await), "organization_forbidden", "{}", kind.name);
        }
        let anonymous = || Request::get("/nowhere").body(()).unwrap();
        assert_eq!(code(&ask(&layer, anonymous()).await), "credentials_missing", "{}", kind.name);
        let optional = layer.clone().optional();
        assert_eq!(ask(&optional, anonymous()).await.body(), "nobody", "{}", kind.name);
        assert_eq!(code(&ask(&optional, basic(JANE)).await), "organization_forbidden", "{}", kind.name);
        let exempt = layer.exempt(|_| true);
        assert_eq!(ask(&exempt, basic(JANE)).await.body(), "nobody", "{}", kind.name);
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a8_a_malformed_name_is_forbidden_before_the_proof_with_and_without_a_list() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.clear_log();
    for name in ["Acme", "acme%20inc", "a.b", "%2561cme", "acme,globex"] {
        for kind in [&PATH, &HEADER, &SUFFIX] {
            for layer in [kind.layer(&world), kind.acme_layer(&world)] {
                for pair in [JANE, (JANE.0, WRONG)] {
                    let response = ask(&layer, (kind.request)(pair, name)).await;
                    assert_eq!(code(&response), "organization_forbidden", "{} {name}", kind.name);
                }
            }
        }
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a8_an_unlisted_organization_is_answered_after_the_proof_like_a_non_membership() {
    for kind in KINDS {
        for world in worlds() {
            let all = kind.layer(&world).problem_json();
            let listed = kind.acme_layer(&world).problem_json();
            // Without the password there is no difference between a listed, an unlisted and an unknown organization.
            let wrong = wire(&ask(&all, (kind.request)((JANE.0, WRONG), "acme")).await);
            assert_eq!(wrong.0, 401);
            for organization in ["acme", "globex", "nowhere"] {
                let response = ask(&listed, (kind.request)((JANE.0, WRONG), organization)).await;
                assert_eq!(wire(&response), wrong, "{} {organization}", kind.name);
            }
            // A non-membership of a user, on a layer without a list and on this one.
            let forbidden = wire(&ask(&all, (kind.request)(CAROL, "acme")).await);
            assert_eq!(forbidden.0, 403);
            assert_eq!(wire(&ask(&listed, (kind.request)(CAROL, "acme")).await), forbidden);

            // Jane is a member of Globex. The layer signs her in, and asks Clerk nothing about an organization.
            world.fake.clear_log();
            let proofs = [Endpoint::SignIns, Endpoint::VerifyPassword];
            for organization in ["globex", "nowhere", "globex"] {
                let response = ask(&listed, (kind.request)(JANE, organization)).await;
                assert_eq!(wire(&response), forbidden, "{} {organization}", kind.name);
            }
            assert!(proofs.iter().all(|&proof| world.fake.count(proof) <= 1), "one proof");
            assert!(proofs.iter().any(|&proof| world.fake.count(proof) == 1), "one proof");
            assert_eq!(organization_calls(&world), 0, "{}", kind.name);
            assert_eq!(world.fake.live_sessions_of("jane"), 1);

            // Not even a token that is held for it lets her in.
            assert_eq!(organization_of(&world.get_for(JANE, "globex").await), Some("globex"));
            world.fake.clear_log();
            let response = ask(&listed, (kind.request)(JANE, "globex")).await;
            assert_eq!(wire(&response), forbidden, "{}", kind.name);
            assert_eq!(world.fake.count(Endpoint::Any), 0);
            // The proof that was made for the refused request serves the listed organization.
            let response = ask(&listed, (kind.request)(JANE, "acme")).await;
            assert_eq!(organization_of(&response), Some("acme"), "{}", kind.name);
            assert!(proofs.iter().all(|&proof| world.fake.count(proof) == 0), "{}", kind.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a8_an_unlisted_organization_is_counted_and_costs_a_new_proof_after_a_revocation() {
    for world in worlds() {
        let layer = HEADER.acme_layer(&world);
        let count =
            |outcome: Outcome| world.clerk.stats().requests.into_iter().find(|(it, _)| *it == outcome);
        for _ in 0..3 {
            assert_eq!(code(&ask(&layer, (HEADER.request)(JANE, "globex")).await), "organization_forbidden");
        }
        assert_eq!(count(Outcome::OrganizationForbidden), Some((Outcome::OrganizationForbidden, 3)));
        world.clerk.revoke_all();
        run_ready_tasks().await;
        world.fake.set_password("jane", "another password");
        assert_eq!(code(&ask(&layer, (HEADER.request)(JANE, "globex")).await), "credentials_rejected");
        // A remembered refusal is answered like one of a listed organization.
        world.fake.clear_log();
        for organization in ["acme", "globex"] {
            let response = ask(&layer, (HEADER.request)(JANE, organization)).await;
            assert_eq!(code(&response), "credentials_rejected", "{organization}");
        }
        assert_eq!(world.fake.count(Endpoint::Any), 0);
    }
}

/// The proof is revoked while the refused request waits for it, so the answer is not made from it.
#[tokio::test(start_paused = true)]
async fn a8_an_unlisted_organization_is_not_answered_from_a_revoked_proof() {
    let world = World::unlimited();
    let layer = HEADER.acme_layer(&world);
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = tokio::spawn({
        let layer = layer.clone();
        async move { ask(&layer, (HEADER.request)(JANE, "globex")).await }
    });
    run_ready_tasks().await;
    world.fake.set_password("jane", "another password");
    world.clerk.revoke_all();
    drop(hold);
    assert_eq!(code(&in_time(waiting).await.unwrap()), "credentials_rejected");
}

/// The same, after the sign-in has stored the proof, and before the request that waits for it runs again.
#[tokio::test(start_paused = true)]
async fn a8_an_unlisted_organization_is_not_answered_from_a_proof_revoked_a_moment_ago() {
    let world = World::unlimited();
    let layer = HEADER.acme_layer(&world);
    let mut waiting = Box::pin(ask(&layer, (HEADER.request)(JANE, "globex")));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the sign-in takes a moment"),
        () = std::future::ready(()) => {}
    }
    while world.clerk.stats().sessions == 0 {
        tokio::task::yield_now().await;
    }
    world.fake.set_password("jane", "another password");
    world.clerk.revoke_all();
    assert_eq!(code(&waiting.await), "credentials_rejected");
}

#[tokio::test(start_paused = true)]
async fn a8_an_id_and_a_slug_are_two_names_on_a_list() {
    let world = World::unlimited();
    let id = session(&world.get_for(JANE, "acme").await).organization().unwrap().id().to_owned();
    for (listed, asked, code_of) in [
        (id.as_str(), id.as_str(), ""),
        (&id, "acme", "organization_forbidden"),
        ("acme", &id, "organization_forbidden"),
        ("acme", "acme", ""),
    ] {
        let selector = OrganizationSelector::header("x-organization").allow([listed]);
        let layer = world.layer().organization_by(selector).unwrap();
        let response = ask(&layer, (HEADER.request)(JANE, asked)).await;
        assert_eq!(code(&response), code_of, "{listed} {asked}");
    }
    let both = OrganizationSelector::header("x-organization").allow([id.as_str()]).allow(["acme"]);
    let layer = world.layer().organization_by(both).unwrap();
    for asked in [id.as_str(), "acme"] {
        assert_eq!(ask(&layer, (HEADER.request)(JANE, asked)).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a8_a_closure_can_answer_unlisted_too() {
    for world in worlds() {
        let layer = world.layer().organization_from(|_| RequestOrganization::Unlisted);
        assert_eq!(code(&ask(&layer, basic((JANE.0, WRONG))).await), "credentials_rejected");
        assert_eq!(code(&ask(&layer, basic(JANE)).await), "organization_forbidden");
        assert_eq!(organization_calls(&world), 0);
        assert_eq!(organization_of(&world.get(JANE).await), None, "the sign-in was for the personal account");
    }
}

#[tokio::test(start_paused = true)]
async fn a8_the_way_to_an_organization_that_is_named_last_applies() {
    let world = World::unlimited();
    let base = || world.layer().organization("acme").unwrap();
    let by = |layer: ClerkBasicAuthLayer, kind: &Kind| layer.organization_by((kind.selector)()).unwrap();
    let closure = base().organization_from(|_| RequestOrganization::Personal);
    assert_eq!(organization_of(&ask(&closure, basic(JANE)).await), None);
    for kind in KINDS {
        let response = ask(&by(base(), kind), (kind.request)(JANE, "globex")).await;
        assert_eq!(organization_of(&response), Some("globex"), "{}", kind.name);
        let fixed = by(base(), kind).organization("acme").unwrap();
        assert_eq!(organization_of(&ask(&fixed, basic(JANE)).await), Some("acme"), "{}", kind.name);
        let closure = by(base(), kind).organization_from(|_| RequestOrganization::Personal);
        assert_eq!(organization_of(&ask(&closure, basic(JANE)).await), None, "{}", kind.name);
        let other = by(by(base(), kind), &HEADER);
        assert_eq!(
            organization_of(&ask(&other, (HEADER.request)(JANE, "globex")).await),
            Some("globex"),
            "{}",
            kind.name
        );
    }
}

/// Jane is a member of both organizations and cached in both, so only the selector stands between them.
#[tokio::test(start_paused = true)]
async fn a8_attacks_on_a_path_reach_no_other_organization() {
    let world = World::unlimited();
    let layer = world.layer().organization_by(OrganizationSelector::path("/orgs/{org}/{*rest}")).unwrap();
    for organization in ["acme", "globex"] {
        assert_eq!(world.get_for(JANE, organization).await.status(), 200);
    }
    world.fake.clear_log();
    for (path, expected) in [
        ("/orgs/acme/me", Some("acme")),
        ("/orgs/acme/me?org=globex", Some("acme")),
        ("/orgs/%61cme/me", Some("acme")),
        ("/orgs/acme/a%2Fb", Some("acme")),
        ("/orgs/acme//orgs/globex", Some("acme")),
        ("/orgs/%2561cme/me", None),
        ("/orgs/acme%2Fme/x", None),
        ("/orgs/acme%2F..%2Fglobex/me", None),
        ("/orgs/acme/../globex/me", None),
        ("/orgs/acme/%2e%2e/globex/me", None),
        ("/orgs/acme/..%2Fglobex/me", None),
        ("/orgs/acme/..;/globex/me", None),
        ("/orgs/acme/..\\globex", None),
        ("/orgs/acme/x%5C..%5Cglobex", None),
        ("/orgs/./acme/me", None),
        ("/orgs/ACME/me", None),
        ("/orgs/acme%00/me", None),
        ("/orgs/acme%0a/me", None),
        ("/orgs/acme;x/me", None),
        ("/orgs/acme%zz/me", None),
        ("/orgs/acme%/me", None),
        ("/orgs/%20acme/me", None),
        ("/orgs//acme/me", None),
        ("//orgs/acme/me", None),
        ("/%6frgs/acme/me", None),
        ("/x/orgs/acme/me", None),
        ("/orgs/acme", None),
        ("/orgs/acme/", None),
        ("/orgs", None),
        ("/", None),
        ("*", None),
    ] {
        // Not each of them is accepted as a URI, and what isn't never reaches a service.
        let Ok(uri) = path.parse::<Uri>() else {
            assert_eq!(expected, None, "{path}");
            continue;
        };
        let mut request = basic(JANE);
        *request.uri_mut() = uri;
        let response = ask(&layer, request).await;
        match expected {
            Some(organization) => assert_eq!(organization_of(&response), Some(organization), "{path}"),
            None => assert_eq!(code(&response), "organization_forbidden", "{path}"),
        }
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn a8_attacks_on_a_header_and_a_host_reach_no_other_organization() {
    let world = World::unlimited();
    for organization in ["acme", "globex"] {
        assert_eq!(world.get_for(JANE, organization).await.status(), 200);
    }
    world.fake.clear_log();
    let by_header = HEADER.layer(&world);
    for (values, expected) in [
        (&["acme"][..], Some("acme")),
        (&["acme", "globex"], None),
        (&["acme", "acme"], None),
        (&["acme,globex"], None),
        (&["acme, acme"], None),
        (&[""], None),
        (&["ACME"], None),
        (&["acm\u{e9}"], None),
        (&["%61cme"], None),
    ] {
        let mut request = basic(JANE);
        // An underscore makes another name, which this crate doesn't take for the first.
        request.headers_mut().insert("x_organization", "globex".parse().unwrap());
        for value in values {
            let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append("x-organization", value);
        }
        let response = ask(&by_header, request).await;
        match expected {
            Some(organization) => assert_eq!(organization_of(&response), Some(organization), "{values:?}"),
            None => assert_eq!(code(&response), "organization_forbidden", "{values:?}"),
        }
    }
    let by_host = HOST_LABEL.layer(&world);
    for (uri, hosts, expected) in [
        ("/", &["acme.example.com"][..], Some("acme")),
        ("/", &["Acme.Example.com:8443"], Some("acme")),
        ("https://acme.example.com/", &[], Some("acme")),
        ("https://acme.example.com/", &["ACME.example.com:443"], Some("acme")),
        ("https://globex.example.com/", &["acme.example.com"], None),
        ("https://acme.example.com:1/", &["acme.example.com:2"], None),
        ("https://acme.example.com/", &["acme.example.com", "globex.example.com"], None),
        ("/", &["acme.example.com", "globex.example.com"], None),
        ("/", &["acme.example.com", "acme.example.com"], None),
        ("https://acme.example.com/", &["127.0.0.1"], None),
        ("/", &["acme.example.com@globex.example.com"], None),
        ("/", &["acme.example.com.globex.example.com"], None),
        ("/", &["acme.example.com."], None),
        ("/", &["example.com"], None),
        ("/", &["10.0.0.1"], None),
        ("/", &["[::1]"], None),
        ("/", &[], None),
    ] {
        let mut request = basic(JANE);
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().insert("x-forwarded-host", "globex.example.com".parse().unwrap());
        hosts.iter().for_each(|host| _ = request.headers_mut().append(HOST, host.parse().unwrap()));
        let response = ask(&by_host, request).await;
        match expected {
            Some(organization) => {
                assert_eq!(organization_of(&response), Some(organization), "{uri} {hosts:?}");
            }
            None => assert_eq!(code(&response), "organization_forbidden", "{uri} {hosts:?}"),
        }
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

async fn whoami(Extension(session): Extension<ClerkSession>) -> String {
    session.organization().and_then(|organization| organization.slug()).unwrap_or("-").to_owned()
}

async fn call(app: &Router, path: &str, pair: Pair) -> (u16, String) {
    let request = AxumRequest::get(path).header(AUTHORIZATION, authorization(pair));
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = in_time(app.clone().oneshot(request)).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn nested(layer: ClerkBasicAuthLayer) -> Router {
    let inner = Router::new().route("/{id}/me", get(whoami)).route("/me", get(whoami)).layer(layer);
    let middle = Router::new().nest("/{org}", inner);
    Router::new().nest("/orgs", middle)
}

#[tokio::test(start_paused = true)]
async fn a8_a_path_selector_sees_the_whole_path_under_axum_nests() {
    let world = World::unlimited();
    let app =
        nested(world.layer().organization_by(OrganizationSelector::path("/orgs/{org}/{*rest}")).unwrap());
    for path in ["/orgs/acme/me", "/orgs/acme/globex/me"] {
        assert_eq!(call(&app, path, CAROL).await.0, 403, "a user of no organization");
        assert_eq!(call(&app, path, BOB).await, (200, "acme".to_owned()));
    }
    assert_eq!(call(&app, "/orgs/globex/me", BOB).await.0, 403);
    assert_eq!(call(&app, "/orgs/%61cme/me", BOB).await, (200, "acme".to_owned()));
}

/// By the cut path, `/globex/me` of the second request would name another organization than the route does.
#[tokio::test(start_paused = true)]
async fn a8_a_cut_path_names_no_organization_where_the_pattern_is_of_the_whole_one() {
    let world = World::unlimited();
    let whole = || OrganizationSelector::path("/orgs/{org}/{*rest}");
    for selector in [whole().never_nested(), whole().original_uri(|_| None)] {
        let app = nested(world.layer().organization_by(selector).unwrap());
        for path in ["/orgs/acme/me", "/orgs/acme/globex/me"] {
            for pair in [JANE, CAROL] {
                assert_eq!(call(&app, path, pair).await.0, 403, "{path}");
            }
        }
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    // The pattern is anchored to the whole path, so it finds nothing in the cut one, and the other way round.
    let cut = world.layer().organization_by(OrganizationSelector::path("/{org}/me")).unwrap();
    assert_eq!(call(&nested(cut), "/orgs/acme/globex/me", JANE).await.0, 403);
    let told = whole().original_uri(|parts| parts.extensions.get::<OriginalUri>().map(|uri| &uri.0));
    let app = nested(world.layer().organization_by(told).unwrap());
    assert_eq!(call(&app, "/orgs/acme/globex/me", JANE).await, (200, "acme".to_owned()));
}

fn as_member(pair: Pair, name: &str) -> Request<()> {
    (SUFFIX.request)(pair, name)
}

#[tokio::test(start_paused = true)]
async fn a8_a_suffix_shares_one_sign_in_with_layers_without_one() {
    for world in worlds() {
        let layer = SUFFIX.layer(&world);
        let first = ask(&layer, as_member(JANE, "acme")).await;
        assert_eq!(organization_of(&first), Some("acme"));
        assert_eq!(organization_of(&world.get(JANE).await), None);
        assert_eq!(organization_of(&ask(&layer, as_member(JANE, "globex")).await), Some("globex"));
        assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
        let proofs = [Endpoint::SignIns, Endpoint::VerifyPassword];
        let most = proofs.into_iter().map(|proof| world.fake.count(proof)).max();
        assert_eq!((most, world.clerk.stats().sessions), (Some(1), 1));
        // And with a layer whose clients encode the suffix as a form.
        let encoded = layer.form_encoded_credentials();
        let pair = ("jane%40example.com%2Facme", "correct+horse+battery+staple");
        assert_eq!(organization_of(&ask(&encoded, basic(pair)).await), Some("acme"));
        assert_eq!(world.clerk.stats().sessions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a8_a_suffix_is_cut_off_before_clerk_sees_the_identifier() {
    let world = World::new();
    let layer = SUFFIX.layer(&world).authorization_header(AuthorizationHeader::Bearer).unwrap();
    let response = ask(&layer, as_member(JANE, "acme")).await;
    assert_eq!(response.status(), 200);
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    let identifiers: Vec<_> = sign_ins.iter().map(|sign_in| sign_in.form("identifier")).collect();
    assert_eq!(identifiers, [Some(JANE.0)]);
}

#[tokio::test(start_paused = true)]
async fn a8_attacks_on_a_suffix_reach_no_other_organization_or_user() {
    let world = World::unlimited();
    let layer = world.layer().organization_by(suffix(["acme", "globex"])).unwrap();
    for pair in [JANE, BOB] {
        assert_eq!(world.get(pair).await.status(), 200);
        assert_eq!(world.get_for(pair, "acme").await.status(), 200);
    }
    for (identifier, password, expected) in [
        ("jane@example.com/acme", JANE.1, ""),
        ("jane@example.com/globex", JANE.1, ""),
        ("bob@example.com/globex", BOB.1, "organization_forbidden"),
        // The last separator cuts, so the first of two names is part of the identifier.
        ("jane@example.com/acme/globex", JANE.1, "credentials_rejected"),
        ("jane@example.com//acme", JANE.1, "credentials_rejected"),
        ("bob@example.com/jane@example.com/acme", BOB.1, "credentials_rejected"),
        // The name is not on the list, and the password decides first.
        ("jane@example.com/nowhere", JANE.1, "organization_forbidden"),
        ("jane@example.com/nowhere", WRONG, "credentials_rejected"),
        ("jane@example.com/acme", WRONG, "credentials_rejected"),
        ("jane@example.com/acme", BOB.1, "credentials_rejected"),
        // A malformed name, or none.
        ("jane@example.com", JANE.1, "organization_forbidden"),
        ("jane@example.com/", JANE.1, "organization_forbidden"),
        ("jane@example.com/Acme", JANE.1, "organization_forbidden"),
        ("jane@example.com/acme ", JANE.1, "organization_forbidden"),
        ("jane@example.com\\acme", JANE.1, "organization_forbidden"),
        ("jane@example.com\u{2215}acme", JANE.1, "organization_forbidden"),
        ("jane@example.com%2Facme", JANE.1, "organization_forbidden"),
        ("/acme", JANE.1, "credentials_malformed"),
    ] {
        let response = ask(&layer, basic((identifier, password))).await;
        assert_eq!(code(&response), expected, "{identifier} {password}");
    }
    // The password may hold the separator.
    let response = ask(&layer, basic(("jane@example.com", "x/acme"))).await;
    assert_eq!(code(&response), "organization_forbidden");
    for field in ["Basic !!!", "Basic amFuZQ", "Basic YTpiY2N", "Basic"] {
        let response = ask(&layer, with_authorization(field)).await;
        assert_eq!(code(&response), "credentials_malformed", "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a8_a_wrong_password_with_a_suffix_is_remembered_for_the_identifier_alone() {
    let world = World::new();
    let layer = SUFFIX.layer(&world);
    for name in ["nowhere", "acme", "globex", "elsewhere"] {
        let response = ask(&layer, as_member((JANE.0, WRONG), name)).await;
        assert_eq!(code(&response), "credentials_rejected", "{name}");
    }
    assert_eq!(code(&world.get((JANE.0, WRONG)).await), "credentials_rejected");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn a8_a_hit_with_a_suffix_makes_no_call_and_renews_its_proof_without_the_suffix() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(Duration::from_secs(600)));
    let layer = SUFFIX.layer(&world);
    let first: Response<String> = ask(&layer, as_member(JANE, "acme")).await;
    assert_eq!(organization_of(&first), Some("acme"));
    world.fake.clear_log();
    for _ in 0..10 {
        let hit = ask(&layer, as_member(JANE, "acme")).await;
        assert_eq!((organization_of(&hit), hit.body()), (Some("acme"), first.body()));
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    // The proof is due after 0.9 of its time at the latest, and one request has it renewed.
    for _ in 0..55 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(organization_of(&ask(&layer, as_member(JANE, "acme")).await), Some("acme"));
        run_ready_tasks().await;
    }
    let sign_ins = world.fake.requests_to(Endpoint::SignIns);
    let identifiers: Vec<_> = sign_ins.iter().map(|sign_in| sign_in.form("identifier")).collect();
    assert_eq!(identifiers, [Some(JANE.0)]);
}
