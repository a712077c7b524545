//! An upstream with `https://`, where nginx and OpenSSL are installed (rule A7).

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Gateway, JANE, ask, basic, get};
use crate::proxies::{left_out, place, start_nginx};

/// Makes `certificate.pem`, for `localhost`, and `key.pem`, where OpenSSL is installed.
pub(crate) fn make_certificate(folder: &Path) -> Option<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    if made.is_err() {
        left_out("openssl");
    }
    assert!(made.ok()?.success(), "openssl makes no certificate");
    Some(())
}

#[test]
fn a7_an_https_upstream_is_verified_and_may_speak_http_2() {
    let (address, folder) = place("tls");
    if make_certificate(&folder).is_none() {
        return;
    }
    let certificate = folder.join("certificate.pem");
    let text = format!(
        "server {{ listen {address} ssl http2; ssl_certificate {0}/certificate.pem; ssl_certificate_key {0}/key.pem;\n\
         return 200 \"$server_protocol $host $http_authorization\"; }}\n",
        folder.display()
    );
    let Some(_nginx) = start_nginx(address, &folder, &text) else { return };
    let url = format!("https://localhost:{}", address.port());
    let request = get("/", &[&basic(JANE)]);

    let trusting =
        Gateway::start(&[("UPSTREAM_URL", &url), ("SSL_CERT_FILE", certificate.to_str().unwrap())]);
    let answer = ask(trusting.address, &request);
    let body = String::from_utf8(answer.body).unwrap();
    assert!(answer.status == 200 && body.starts_with("HTTP/2.0 localhost Bearer ey"), "{body}");

    let other = Gateway::start(&[("UPSTREAM_URL", &url)]);
    assert_eq!(ask(other.address, &request).status, 502);
    let by_address = format!("https://{address}");
    let other_name =
        Gateway::start(&[("UPSTREAM_URL", &by_address), ("SSL_CERT_FILE", certificate.to_str().unwrap())]);
    assert_eq!(ask(other_name.address, &request).status, 502);
}
