//! Guards behind the layer (rules G1 to G6).

mod answers;
mod factors;
mod requirements;
mod reverification_json;

use std::time::Duration;

use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_clerk::guard::RequireLayer;
use tower_clerk::layer::RejectionResponse;
use tower_clerk::testing::{FakeClerkBuilder, FakeOrganization, FakeUser, TokenVersion};
use tower_clerk::{ClerkBasicAuthLayer, ClerkBuilder, Requirement};

use crate::common::{Pair, World, in_time, me};

/// Billing of `initech`, which pays for the feature `reports` and the plan `pro`; pays for `gold` and `free` herself.
const ADA: Pair = ("ada@example.com", "difference engine");
/// Impersonated by an administrator.
const EVE: Pair = ("eve@example.com", "somebody else's session");

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A world without limits whose tokens live for half a day, so that no test depends on a renewal unless it wants to.
fn world(version: TokenVersion) -> World {
    let fake = |fake: FakeClerkBuilder| {
        fake.no_rate_limit().token_version(version).token_life(Duration::from_secs(12 * 3600))
    };
    let world = World::with(fake, ClerkBuilder::unlimited_sign_ins);
    let ada = FakeUser::new(ADA.0).password(ADA.1).feature("gold").plan("free");
    world.fake.add_user(ada);
    let initech =
        FakeOrganization::new("initech").role("org:billing", ["org:invoices:read", "org:team-a:manage"]);
    world.fake.add_organization(initech.feature("reports").plan("pro"));
    world.fake.add_member(ADA.0, "initech", "org:billing");
    let act = serde_json::json!({ "sub": "user_admin" });
    world.fake.add_user(FakeUser::new(EVE.0).password(EVE.1).claim("act", act));
    world
}

/// Sends a request through the layer and the guard inside of it.
async fn ask_guarded<R, G>(
    layer: &ClerkBasicAuthLayer<R>,
    guard: &RequireLayer<G>,
    request: Request<()>,
) -> Response<String>
where
    R: RejectionResponse<String>,
    G: RejectionResponse<String>,
{
    in_time(layer.layer(guard.layer(service_fn(me))).oneshot(request)).await.unwrap()
}

/// The status of a request with these credentials, in an organization or none, behind a guard.
async fn status(world: &World, pair: Pair, organization: Option<&str>, requirement: Requirement) -> u16 {
    let mut layer = world.layer();
    if let Some(organization) = organization {
        layer = layer.organization(organization).unwrap();
    }
    let guard = layer.require(requirement).unwrap();
    ask_guarded(&layer, &guard, crate::common::basic(pair)).await.status().as_u16()
}
