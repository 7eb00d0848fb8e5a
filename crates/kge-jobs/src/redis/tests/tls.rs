//! `rediss://`: certificates of an authority of the test's own.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

/// Writes `NAME-ca.pem`, and `NAME.pem` with `NAME.key` that it vouches for.
fn certify(folder: &Path, name: &str) {
    let (authority, secret) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let root = params.self_signed(&authority).unwrap();
    let params_of_leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let issuer = Issuer::new(params, authority);
    let leaf = params_of_leaf.signed_by(&secret, &issuer).unwrap();
    fs::write(folder.join(format!("{name}-ca.pem")), root.pem()).unwrap();
    fs::write(folder.join(format!("{name}.pem")), leaf.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), secret.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_both_ways() {
    let Some(mut server) = Server::away(&[]) else { return };
    let folder = server.folder().to_owned();
    certify(&folder, "ours");
    certify(&folder, "theirs");
    let port = server::free_port().to_string();
    server.set_options(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        "ours.pem",
        "--tls-key-file",
        "ours.key",
        "--tls-ca-cert-file",
        "ours-ca.pem",
    ]);
    server.restart();
    let at = |name: &str| folder.join(name).display().to_string();
    let address = |host: &str, ca: &str, client: &str| {
        let client = match client {
            "" => String::new(),
            name => {
                format!("&cert={}&key={}", at(&format!("{name}.pem")), at(&format!("{name}.key")))
            }
        };
        format!("rediss://{host}:{port}?ca={}{client}", at(ca))
    };
    let store = RedisJobs::open(&address("localhost", "ours-ca.pem", "ours")).unwrap();
    store.enqueue(new()).await.unwrap();
    for (address, why) in [
        (address("localhost", "theirs-ca.pem", "ours"), "its certificate is not trusted"),
        (address("127.0.0.1", "ours-ca.pem", "ours"), "its certificate is not trusted"),
        (address("localhost", "ours-ca.pem", ""), "it asks for a certificate"),
        (address("localhost", "ours-ca.pem", "theirs"), "it does not trust our certificate"),
    ] {
        let store = RedisJobs::open(&address).unwrap();
        let error = store.ping().await.unwrap_err();
        assert!(error.to_string().contains(why), "{address}: {error}");
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    let without = server.address().replace("redis:", "rediss:");
    let error = RedisJobs::open(&without).unwrap().ping().await.unwrap_err();
    assert!(error.to_string().contains("without TLS here?"), "{error}");
    let plain = format!("redis://localhost:{port}");
    let error = RedisJobs::open(&plain).unwrap().ping().await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
