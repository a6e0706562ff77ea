//! Tokens of service accounts: JSON web tokens, signed with a key of the server's own.
//!
//! Nothing is stored for a token: what it says is checked against the store whenever it is used, so it ends with its account,
//! with the object it is bound to, or when its time is over.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::auth::{AUTHENTICATED, User, account_groups};
use crate::meta;
use crate::serve::ServeError;
use crate::store::{Entry, Store};

/// Who issues tokens, and whom they are for unless somebody else is named.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 60;

/// Signs tokens, and knows its signatures again.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    /// Tells which key it was.
    id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: Vec<String>,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) iss: String,
    pub(crate) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) kubernetes: Names,
    pub(crate) nbf: i64,
    pub(crate) sub: String,
}

/// The objects that a token is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Named>,
    pub(crate) serviceaccount: Named,
    /// When its holder was to fetch another, if it lives longer than was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warnafter: Option<i64>,
}

/// One object, and no namesake of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
}

impl Named {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { name: entry.key.name.to_string(), uid: meta::text(&entry.value, "uid").to_owned() }
    }

    fn is(&self, entry: Option<&Entry>) -> bool {
        entry.is_some_and(|entry| meta::text(&entry.value, "uid") == self.uid)
    }
}

impl Signer {
    /// A new key, as it is kept.
    pub(crate) fn generate() -> Result<Vec<u8>, ServeError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Ok(key.map_err(|_| ServeError::Signer)?.as_ref().to_vec())
    }

    /// Signs with a key that was generated.
    pub(crate) fn of(key: &[u8]) -> Result<Self, ServeError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key).map_err(|_| ServeError::Signer)?;
        let id = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(pair.public_key().as_ref()));
        Ok(Self { pair, id })
    }

    /// A token that says this.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
        let header = Header { alg: "ES256".to_owned(), kid: self.id.clone() };
        let header = serde_json::to_vec(&header).expect("texts become JSON");
        let claims = serde_json::to_vec(claims).expect("texts and numbers become JSON");
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("the system has random numbers");
        format!("{signed}.{}", part(signature.as_ref().to_vec()))
    }

    /// What a token says, if we signed it.
    fn read(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != "ES256" {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref());
        key.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Whose token it is, and which of the audiences it is for.
    ///
    /// # Errors
    /// Says why it is nobody's.
    pub(crate) fn account(
        &self,
        store: &Store,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(User, Vec<String>), String> {
        let claims = self.read(token).ok_or("invalid bearer token")?;
        let meant: Vec<String> = audiences.iter().filter(|audience| claims.aud.contains(audience)).cloned().collect();
        if meant.is_empty() {
            let shown = |list: &[String]| list.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(" ");
            let (of, wanted) = (shown(&claims.aud), shown(audiences));
            return Err(bad(&format!("token audiences [{of}] is invalid for the target audiences [{wanted}]")));
        }
        let now = now.as_second();
        if now > claims.exp + LEEWAY {
            return Err(bad("service account token has expired"));
        }
        if now < claims.nbf - LEEWAY {
            return Err(bad("service account token is not valid yet"));
        }
        check_objects(store, &claims.kubernetes).map_err(|why| bad(&why))?;
        Ok((user(&claims), meant))
    }
}

/// Kubernetes lists what each way to know a token says against it.
fn bad(why: &str) -> String {
    format!("[invalid bearer token, {why}]")
}

/// The account and what the token is bound to must be there, and be no namesakes.
fn check_objects(store: &Store, names: &Names) -> Result<(), String> {
    let namespace = names.namespace.as_str();
    let find = |drawer: &str, namespace: &str, named: &Named| {
        let entry = store.get(drawer, namespace, &named.name);
        named.is(entry.as_deref())
    };
    if !find("/serviceaccounts", namespace, &names.serviceaccount) {
        return Err(format!("service account {namespace}/{} has been deleted", names.serviceaccount.name));
    }
    // A pod's node is only told.
    let node = names.node.as_ref().filter(|_| names.pod.is_none());
    let bound = [("/pods", namespace, &names.pod), ("/secrets", namespace, &names.secret)];
    let is_there = bound
        .iter()
        .all(|(drawer, namespace, named)| named.as_ref().is_none_or(|named| find(drawer, namespace, named)))
        && node.is_none_or(|node| find("/nodes", "", node));
    if is_there { Ok(()) } else { Err("service account token has been invalidated".to_owned()) }
}

fn user(claims: &Claims) -> User {
    let Names { namespace, serviceaccount, pod, node, .. } = &claims.kubernetes;
    let mut groups = account_groups(namespace);
    groups.push(AUTHENTICATED.to_owned());
    let mut user = User {
        name: format!("system:serviceaccount:{namespace}:{}", serviceaccount.name),
        uid: serviceaccount.uid.clone(),
        groups,
        ..User::default()
    };
    let mut tell = |key: &str, value: String| {
        user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
    };
    tell("credential-id", format!("JTI={}", claims.jti));
    for (what, named) in [("pod", pod), ("node", node)] {
        if let Some(named) = named {
            tell(&format!("{what}-name"), named.name.clone());
            if !named.uid.is_empty() {
                tell(&format!("{what}-uid"), named.uid.clone());
            }
        }
    }
    user
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Expected, Key};
    use soll_yaml::parse_json;

    fn store() -> Store {
        let store = Store::default();
        let account = parse_json(br#"{"metadata":{"name":"sa","namespace":"a","uid":"1"}}"#).unwrap();
        store.put("/serviceaccounts", &Key::new("a", "sa"), Expected::Absent, account).unwrap();
        store
    }

    fn claims() -> Claims {
        let serviceaccount = Named { name: "sa".to_owned(), uid: "1".to_owned() };
        Claims {
            aud: vec![ISSUER.to_owned()],
            exp: 2000,
            iat: 1000,
            nbf: 1000,
            iss: ISSUER.to_owned(),
            jti: "j".to_owned(),
            kubernetes: Names {
                namespace: "a".to_owned(),
                node: None,
                pod: None,
                secret: None,
                serviceaccount,
                warnafter: None,
            },
            sub: "system:serviceaccount:a:sa".to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_account_its_audience_and_its_time() {
        let (store, signer) = (store(), Signer::of(&Signer::generate().unwrap()).unwrap());
        let token = signer.sign(&claims());
        let ours = [ISSUER.to_owned()];
        let (user, meant) = signer.account(&store, &token, &ours, at(1500)).unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str(), meant), ("system:serviceaccount:a:sa", "1", ours.to_vec()));
        assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
        assert_eq!(user.extra["authentication.kubernetes.io/credential-id"], ["JTI=j"]);
        assert!(signer.account(&store, &token, &["other".to_owned()], at(1500)).unwrap_err().contains("audiences"));
        assert!(signer.account(&store, &token, &ours, at(2061)).unwrap_err().contains("expired"));
        assert!(signer.account(&store, &token, &ours, at(939)).unwrap_err().contains("not valid yet"));
        let live = store.get("/serviceaccounts", "a", "sa").unwrap();
        store.remove("/serviceaccounts", &live.key, live.revision).unwrap();
        assert!(signer.account(&store, &token, &ours, at(1500)).unwrap_err().contains("deleted"));
    }

    #[test]
    fn what_others_signed_is_refused() {
        let (store, signer) = (store(), Signer::of(&Signer::generate().unwrap()).unwrap());
        let other = Signer::of(&Signer::generate().unwrap()).unwrap();
        let ours = [ISSUER.to_owned()];
        let token = other.sign(&claims());
        assert_eq!(signer.account(&store, &token, &ours, at(1500)).unwrap_err(), "invalid bearer token");
        let token = signer.sign(&claims());
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = rest.split_once('.').unwrap();
        let mut more = claims();
        more.kubernetes.serviceaccount.name = "admin".to_owned();
        let more = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&more).unwrap());
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none","kid":""}"#);
        for forged in [format!("{header}.{more}.{signature}"), format!("{none}.{more}."), "a.b".to_owned()] {
            assert_eq!(signer.account(&store, &forged, &ours, at(1500)).unwrap_err(), "invalid bearer token");
        }
    }

    #[test]
    fn a_bound_token_ends_with_what_it_is_bound_to() {
        let (store, signer) = (store(), Signer::of(&Signer::generate().unwrap()).unwrap());
        let pod = parse_json(br#"{"metadata":{"name":"p","namespace":"a","uid":"2"}}"#).unwrap();
        let pod = store.put("/pods", &Key::new("a", "p"), Expected::Absent, pod).unwrap();
        let mut claims = claims();
        claims.kubernetes.pod = Some(Named::of(&pod));
        claims.kubernetes.node = Some(Named { name: "gone".to_owned(), uid: String::new() });
        let (token, ours) = (signer.sign(&claims), [ISSUER.to_owned()]);
        let (user, _) = signer.account(&store, &token, &ours, at(1500)).unwrap();
        assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
        store.remove("/pods", &pod.key, pod.revision).unwrap();
        assert!(signer.account(&store, &token, &ours, at(1500)).unwrap_err().contains("invalidated"));
    }
}
