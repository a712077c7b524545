//! Providers that are known, with the dangers of each held in check.

use super::link::Link;
use super::provider::Provider;

/// Which provider it is, for the checks that are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    Oidc,
    Google,
    Entra { tenant: Box<str> },
    GitHubActions,
    GitLab,
    Kubernetes,
}

const GOOGLE: &str = "https://accounts.google.com";
const ENTRA: &str = "https://login.microsoftonline.com/";
/// The issuers of Entra's other clouds, and of its tokens of version 1. Behind each is the tenant
/// (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
const ENTRA_OTHERS: [&str; 4] = [
    "https://sts.windows.net/",
    "https://login.microsoftonline.us/",
    "https://login.partner.microsoftonline.cn/",
    "https://sts.chinacloudapi.cn/",
];
/// The tenant of all personal accounts at Microsoft, which is nobody's own.
pub(super) const ENTRA_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// The end of the issuer of a GitHub Enterprise Server
/// (<https://docs.github.com/enterprise-server/actions/reference/security/oidc>).
const GITHUB_SERVER: &str = "/_services/token";
/// The start of the issuer of an enterprise with data residency, such as `https://token.actions.octo.ghe.com`.
const GITHUB_RESIDENT: &str = "https://token.actions.";
const GITLAB: &str = "https://gitlab.com";

/// The providers that Clerk has ready made, as far as they issue ID tokens: the ids of their accounts are given by this
/// issuer, and by no other.
const ISSUERS_AT_CLERK: [(&str, &str); 7] = [
    ("oauth_apple", "https://appleid.apple.com"),
    ("oauth_github", "https://github.com/login/oauth"),
    ("oauth_google", GOOGLE),
    ("oauth_line", "https://access.line.me"),
    ("oauth_linkedin_oidc", "https://www.linkedin.com/oauth"),
    ("oauth_slack", "https://slack.com"),
    ("oauth_twitch", "https://id.twitch.tv/oauth2"),
];

impl Preset {
    /// The preset of an issuer, so that its dangers are held in check whichever way the provider was made.
    pub(super) fn of(issuer: &str) -> Self {
        if let Some(rest) = [ENTRA].iter().chain(&ENTRA_OTHERS).find_map(|entra| issuer.strip_prefix(entra)) {
            let tenant = rest.split('/').next().unwrap_or_default().into();
            return Self::Entra { tenant };
        }
        match issuer {
            GOOGLE => Self::Google,
            GITLAB => Self::GitLab,
            _ if is_github(issuer) => Self::GitHubActions,
            _ => Self::Oidc,
        }
    }

    /// Whether the accounts that Clerk holds under this name (`oauth_…`) can be those of this issuer.
    ///
    /// With a wrong name, the issuer would open the accounts of another provider by giving its own subjects their ids.
    pub(super) fn may_be(&self, clerk_provider: &str, issuer: &str) -> bool {
        if clerk_provider == "oauth_microsoft" {
            return matches!(self, Self::Entra { .. });
        }
        clerk_provider.starts_with("oauth_custom_") || ISSUERS_AT_CLERK.contains(&(clerk_provider, issuer))
    }

    /// Whether its assertions are about workloads, and about no person.
    pub(super) fn is_for_workloads(&self) -> bool {
        matches!(self, Self::GitHubActions | Self::GitLab | Self::Kubernetes)
    }
}

/// Whether an issuer is that of GitHub Actions: of github.com, where an enterprise may have its name behind it, of an
/// enterprise with data residency, or of a server of one's own.
fn is_github(issuer: &str) -> bool {
    let rest = issuer.strip_prefix(GITHUB);
    let resident = issuer.strip_prefix(GITHUB_RESIDENT);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || resident.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.ends_with(".ghe.com")))
        || issuer.ends_with(GITHUB_SERVER)
}

/// Whether an audience is the address of an owner at the GitHub of this issuer, which is the default for every job.
pub(super) fn is_of_github(issuer: &str, audience: &str) -> bool {
    let is_at = |start: &str, host: &str| {
        audience
            .strip_prefix(start)
            .and_then(|rest| rest.strip_prefix(host))
            .is_some_and(|rest| rest.starts_with('/'))
    };
    is_at("https://", "github.com")
        || issuer.strip_suffix(GITHUB_SERVER).is_some_and(|server| is_at(server, ""))
        || issuer
            .strip_prefix(GITHUB_RESIDENT)
            .and_then(|rest| rest.split('/').next())
            .is_some_and(|host| is_at("https://", host))
}

impl Provider {
    fn preset(issuer: impl Into<String>, preset: Preset, audience: impl Into<String>) -> Self {
        Self { preset, ..Self::oidc(issuer) }.audience(audience)
    }

    /// Creates the provider of people's accounts at Google, for a client id
    /// (<https://developers.google.com/identity/openid-connect/openid-connect>).
    ///
    /// People are found by their linked account (`oauth_google`), whose id is Google's `sub`.
    pub fn google(client_id: impl Into<String>) -> Self {
        let provider = Self::preset(GOOGLE, Preset::Google, client_id);
        Self { links: vec![Link::External("oauth_google".into())], ..provider }
    }

    /// Creates the provider of one tenant of Microsoft Entra ID, by the tenant's id, for a client id
    /// (<https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>).
    ///
    /// The tenant is a GUID: `common` and the like, with which any tenant could vouch for anyone, are refused. Entra's `sub`
    /// differs from client to client, so the [`subject_claim`](Self::subject_claim) must be named: `oid` is the same for all,
    /// if that is what Clerk holds. It needs a link.
    pub fn entra(tenant_id: impl Into<String>, client_id: impl Into<String>) -> Self {
        // As Entra itself writes it into `iss`.
        let tenant = tenant_id.into().to_ascii_lowercase();
        let issuer = format!("{ENTRA}{tenant}/v2.0");
        Self::preset(issuer, Preset::Entra { tenant: tenant.into() }, client_id)
    }

    /// Creates the provider of GitHub Actions, for an audience
    /// (<https://docs.github.com/en/actions/reference/security/oidc>).
    ///
    /// Each rule needs an [`owner_id`](super::WorkloadRule::owner_id). Jobs for pull requests are refused, whatever their
    /// rule, since a stranger can have made them run. The audience must be your own: GitHub's default, the address of the
    /// owner, is refused.
    pub fn github_actions(audience: impl Into<String>) -> Self {
        Self::preset(GITHUB, Preset::GitHubActions, audience)
    }

    /// Creates the provider of CI jobs of a GitLab instance, such as `https://gitlab.com`, for an audience
    /// (<https://docs.gitlab.com/ci/secrets/id_token_authentication/>).
    ///
    /// Each rule needs the [claim](super::WorkloadRule::claim) `project_id` or `namespace_id`, since a path can be given to
    /// another project.
    pub fn gitlab(instance_url: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::preset(instance_url, Preset::GitLab, audience)
    }

    /// Creates the provider of the service accounts of a Kubernetes cluster, by its issuer, for an audience
    /// (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/>).
    ///
    /// Use projected tokens with an audience of their own. The default one of the API server is refused, as every pod has such
    /// a token. Rules name the namespace literally: `system:serviceaccount:prod:deployer`. Tokens are accepted for
    /// [1 h](Self::longest_age) after they were issued, as the kubelet renews them before that, and a cluster may issue ones
    /// of a year. An API server that lets nobody see its key set without a token needs
    /// [`key_set_file`](Self::key_set_file), and one with an authority of its own a
    /// [`ca_certificate`](Self::ca_certificate).
    pub fn kubernetes(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::preset(issuer, Preset::Kubernetes, audience)
    }
}
