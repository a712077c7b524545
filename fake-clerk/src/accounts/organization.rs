//! Descriptions of organizations to add to a stand-in.

use serde_json::{Map, Value};

use crate::ids;

/// An organization to add to a [`FakeClerk`](crate::FakeClerk) with
/// [`add_organization`](crate::FakeClerk::add_organization).
///
/// It has Clerk's two default roles, `org:admin` and `org:member`. They have no custom permissions until
/// [`role`](Self::role) adds some.
///
/// ```
/// use fake_clerk::{FakeClerk, FakeOrganization, FakeUser};
///
/// let clerk = FakeClerk::builder().empty().build();
/// clerk.add_user(FakeUser::new("jane@example.com").password("correct horse"));
/// clerk.add_organization(FakeOrganization::new("acme").role("org:admin", ["org:invoices:read"]));
/// clerk.add_member("jane@example.com", "acme", "org:admin");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeOrganization {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    /// Keys and permissions.
    pub(crate) roles: Vec<(String, Vec<String>)>,
    pub(crate) public_metadata: Map<String, Value>,
    pub(crate) private_metadata: Map<String, Value>,
    pub(crate) plan: Option<String>,
    pub(crate) features: Vec<String>,
}

impl FakeOrganization {
    /// Creates an organization with a slug, which is its name as well.
    pub fn new(slug: impl Into<String>) -> Self {
        let slug = slug.into();
        Self {
            id: ids::random("org"),
            name: slug.clone(),
            slug,
            roles: vec![("org:admin".to_owned(), Vec::new()), ("org:member".to_owned(), Vec::new())],
            public_metadata: Map::new(),
            private_metadata: Map::new(),
            plan: None,
            features: Vec::new(),
        }
    }

    /// Sets the id, such as `org_1`. The default is random.
    ///
    /// Set it when the program under test is configured with an organization id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the display name. The default is the slug.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the permissions of a role, and adds the role if the organization doesn't have it.
    ///
    /// Both are in Clerk's form: `org:admin`, `org:invoices:read`.
    pub fn role<I>(mut self, key: impl Into<String>, permissions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let key = key.into();
        self.roles.retain(|(known, _)| *known != key);
        self.roles.push((key, permissions.into_iter().map(Into::into).collect()));
        self
    }

    /// Sets the public metadata.
    pub fn public_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.public_metadata = metadata;
        self
    }

    /// Sets the private metadata, which the Backend API and webhooks show.
    pub fn private_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.private_metadata = metadata;
        self
    }

    /// Sets the plan that the organization pays for, the `pla` claim of its tokens.
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// Adds a feature without permissions: `o:…` in the `fea` claim of version 2 tokens.
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }
}
