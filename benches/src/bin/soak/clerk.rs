//! The process that stands in for Clerk: a few faulty answers every ten seconds, an outage of six seconds each minute, sessions that are revoked.

use std::time::Duration;

use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser, Fault, RetryAfter};

use crate::{Failure, PASSWORD, Random, USERS, identifier};

/// The calls of both APIs that a request can wait for.
const CALLS: [Endpoint; 8] = [
    Endpoint::SignIns,
    Endpoint::Tokens,
    Endpoint::Touch,
    Endpoint::Users,
    Endpoint::VerifyPassword,
    Endpoint::SignInTokens,
    Endpoint::BackendTokens,
    Endpoint::Jwks,
];

/// Prints its address and its secret key, and serves until its standard input ends.
pub(crate) async fn run() -> Result<(), Failure> {
    let fake = FakeClerk::builder().no_rate_limit().build();
    for number in 0..USERS {
        fake.add_user(FakeUser::new(identifier(number)).password(PASSWORD));
    }
    let server = fake.serve("127.0.0.1:0").await?;
    println!("{} {}", server.url(), fake.secret_key());
    tokio::spawn(trouble(fake));
    // The end of the pipe is the end of the parent.
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    server.shutdown().await;
    Ok(())
}

async fn trouble(fake: FakeClerk) {
    let mut random = Random(0x5eed);
    for second in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Its log of requests and its ended sessions would grow.
        fake.clear_log();
        if second % 10 == 0 {
            let fault = fault(&mut random);
            fake.script_times(CALLS[random.below(CALLS.len())], 1 + random.below(4), fault);
        }
        if second % 5 == 0
            && let sessions = fake.sessions()
            && !sessions.is_empty()
        {
            fake.revoke_session(sessions[random.below(sessions.len())].id());
        }
        match second % 60 {
            50 => CALLS.into_iter().for_each(|call| fake.script_always(call, Fault::Refused)),
            56 => CALLS.into_iter().for_each(|call| fake.clear_script(call)),
            _ => {}
        }
    }
}

fn fault(random: &mut Random) -> Fault {
    match random.below(10) {
        0 => Fault::Status(500),
        1 => Fault::Status(503),
        2 => Fault::Html(502),
        3 => Fault::NotJson,
        4 => Fault::Truncated,
        5 => Fault::Reset,
        6 => Fault::Hang,
        7 => Fault::DelayAnswer(Duration::from_secs(2)),
        8 => Fault::Oversized,
        _ => Fault::RateLimited { retry_after: RetryAfter::Seconds(1) },
    }
}
