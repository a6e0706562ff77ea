//! Who gets in, how much they may have, and what they may try.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use soll_apiserver::store::Limits;
use soll_apiserver::{Reach, Running, Server, ServerOptions};

use crate::support::Client;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// A client that shows a certificate (with its key, in PEM), or none.
fn over_tls(running: &Running, identity: Option<&str>) -> reqwest::Client {
    let authority = running.kubeconfig().split_once("certificate-authority-data: ").expect("it has one").1;
    let authority = STANDARD.decode(authority.lines().next().expect("a line")).expect("base64");
    let mut builder = reqwest::Client::builder().no_proxy();
    builder = builder.add_root_certificate(reqwest::Certificate::from_pem(&authority).expect("PEM"));
    if let Some(identity) = identity {
        builder = builder.identity(reqwest::Identity::from_pem(identity.as_bytes()).expect("PEM"));
    }
    builder.build().expect("a client")
}

/// A key, and a request for a certificate for it.
fn request(name: &str, group: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, group);
    let request = parameters.serialize_request(&key).expect("a request").pem().expect("PEM");
    (key.serialize_pem(), STANDARD.encode(request))
}

async fn who(running: &Running, client: &reqwest::Client) -> (u16, Json) {
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let sent = client.post(format!("{}{path}", running.url())).header("content-type", "application/json").body("{}");
    let answer = sent.send().await.expect("an answer");
    let code = answer.status().as_u16();
    (code, serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
}

#[tokio::test]
async fn a_certificate_that_the_server_signed_says_who_its_holder_is() {
    let server = Server::new(&ServerOptions::default()).expect("a server");
    let running = server.serve(([127, 0, 0, 1], 0).into()).await.expect("a port");
    let client = Client::of(server);
    let (key, request) = request("jane", "team");
    let spec = json!({"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "expirationSeconds": 3600});
    client.post(REQUESTS, &json!({"metadata": {"name": "jane"}, "spec": spec})).await.ok();
    let approved =
        json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "R", "message": "m"}]}});
    client.merge(&format!("{REQUESTS}/jane/approval"), &approved).await.ok();
    let signed = client.until(REQUESTS, "jane", |jane| jane["status"]["certificate"].is_string()).await;
    let certificate = STANDARD.decode(signed["status"]["certificate"].as_str().expect("base64")).expect("base64");
    let certificate = String::from_utf8(certificate).expect("PEM");

    let (code, review) = who(&running, &over_tls(&running, Some(&format!("{key}{certificate}")))).await;
    let user = &review["status"]["userInfo"];
    assert_eq!((code, &user["username"]), (201, &json!("jane")), "{review}");
    assert_eq!(user["groups"], json!(["team", "system:authenticated"]));

    let (code, refused) = who(&running, &over_tls(&running, None)).await;
    assert_eq!(code, 403, "{refused}");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("system:anonymous")), "{refused}");

    // Somebody else's authority says nothing here.
    let own = rcgen::generate_simple_self_signed(vec!["admin".to_owned()]).expect("a certificate");
    let (code, refused) =
        who(&running, &over_tls(&running, Some(&format!("{}{}", own.signing_key.serialize_pem(), own.cert.pem()))))
            .await;
    assert_eq!((code, &refused["reason"]), (401, &json!("Unauthorized")));
}

#[tokio::test]
async fn a_request_for_more_than_a_client_needs_is_not_signed() {
    let client = Client::new();
    let (_, request) = request("jane", "team");
    let spec = json!({"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth", "server auth"]});
    client.post(REQUESTS, &json!({"metadata": {"name": "jane"}, "spec": spec})).await.ok();
    let approved =
        json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "R", "message": "m"}]}});
    client.merge(&format!("{REQUESTS}/jane/approval"), &approved).await.ok();
    let failed = client.until(REQUESTS, "jane", |jane| jane["status"]["conditions"][1].is_object()).await;
    assert_eq!(failed["status"]["conditions"][1]["reason"], "SignerValidationFailure", "{failed}");
    assert!(failed["status"]["certificate"].is_null());
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_refused_with_its_limit() {
    let limits = Limits { object: 10_000, objects: 400_000, ..Limits::default() };
    let options = ServerOptions { limits, watches: 1, ..ServerOptions::default() };
    let client = Client::of(Server::new(&options).expect("a server"));
    let map = |name: &str, length: usize| json!({"metadata": {"name": name}, "data": {"k": "x".repeat(length)}});
    let (code, reason, message) = client.post(MAPS, &map("a", 10_000)).await.refused();
    assert_eq!((code, reason.as_str()), (500, ""));
    assert!(message.contains("at most 10000 are stored"), "{message}");
    let (code, _, message) = client.post(MAPS, &map("a", 4 << 20)).await.refused();
    assert_eq!((code, message.as_str()), (413, "Request entity too large: limit is 3145728"));

    let mut stored = 0;
    let refused = loop {
        let answer = client.post(MAPS, &map(&format!("m{stored}"), 9_000)).await;
        if !answer.code.is_success() {
            break answer.refused();
        }
        stored += 1;
        assert!(stored < 100, "there is no limit");
    };
    assert!(refused.2.contains("at most 400000 are stored"), "{refused:?}");
    client.delete(&format!("{MAPS}/m0")).await.ok();
    client.post(MAPS, &map("m0", 8_000)).await.ok();

    let watch = client.watch(&format!("{MAPS}?watch=1")).await;
    let (code, reason, message) = client.get(&format!("{MAPS}?watch=1")).await.refused();
    assert_eq!((code, reason.as_str()), (429, "TooManyRequests"));
    assert!(message.contains("there are 1 watches"), "{message}");
    drop(watch);
    client.watch(&format!("{MAPS}?watch=1")).await;
}

#[tokio::test]
async fn only_who_says_so_is_reached_from_elsewhere() {
    let server = Server::new(&ServerOptions::default()).expect("a server");
    let refused = server.serve(([0, 0, 0, 0], 0).into()).await.expect_err("it is not loopback");
    assert!(refused.to_string().contains("for this machine only"), "{refused}");

    let reach = Reach::Network { names: vec!["lab.example.org".to_owned()] };
    let server = Server::new(&ServerOptions { reach, ..ServerOptions::default() }).expect("a server");
    let running = server.serve(([0, 0, 0, 0], 0).into()).await.expect("it was told to");
    let port = running.address().port();
    assert!(running.kubeconfig().contains(&format!("https://lab.example.org:{port}")), "{}", running.kubeconfig());
    let authority = running.kubeconfig().split_once("certificate-authority-data: ").expect("it has one").1;
    let authority = STANDARD.decode(authority.lines().next().expect("a line")).expect("base64");
    let client = reqwest::Client::builder()
        .no_proxy()
        .add_root_certificate(reqwest::Certificate::from_pem(&authority).expect("PEM"))
        .resolve("lab.example.org", ([127, 0, 0, 1], port).into())
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client");
    let answer = client.get(format!("https://lab.example.org:{port}/version")).send().await.expect("its name is known");
    assert_eq!(answer.status(), 200);
}
