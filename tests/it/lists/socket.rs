//! Lists by the built-in HTTP client on a real socket (rule Y20).

use serde_json::{Map, json};
use tower_clerk::backend::{BackendClient, ListOrder, OrganizationQuery, UserQuery};
use tower_clerk::testing::{FakeClerk, FakeUser};

#[tokio::test]
async fn y20_lists_come_over_a_socket_up_to_16_mebibytes() {
    let fake = FakeClerk::builder().empty().no_rate_limit().build();
    for user in 0..5 {
        let metadata = Map::from_iter([("about".to_owned(), json!("x".repeat(6 * 1024 * 1024)))]);
        fake.add_user(FakeUser::new(format!("user{user}@example.com")).public_metadata(metadata));
    }
    let server = fake.serve("127.0.0.1:0").await.unwrap();
    let client = BackendClient::builder(fake.secret_key()).backend_url(server.url());
    let client = super::unlimited(client).build().unwrap();
    let (mut query, mut names) = (UserQuery::new().order_by(ListOrder::OldestFirst).limit(8), Vec::new());
    loop {
        let page = client.users(&query).await.unwrap();
        assert!(page.limit <= 2, "three of them are too large: {}", page.limit);
        names.extend(page.entries.iter().map(|user| user.email_addresses[0].identifier.clone()));
        let Some(last) = page.entries.last().filter(|_| !page.is_last()) else { break };
        query = query.limit(page.limit).starting_after(&last.id);
    }
    let expected: Vec<_> = (0..5).map(|user| format!("user{user}@example.com")).collect();
    assert_eq!(names, expected);
    assert_eq!(client.organizations(&OrganizationQuery::new()).await.unwrap().total_count, Some(0));
    server.shutdown().await;
}
