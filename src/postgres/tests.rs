//! What each URL means, and that no fault has a part of it.

use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::{
    Fault, Parameters,
    parameters::{Host, Mode, Root},
};
use crate::support::secret::ExposeSecret as _;

fn parse(url: &str) -> Result<Parameters, Fault> {
    Parameters::parse(url, &|path| Path::new("/etc/larder").join(path))
}

#[test]
fn other_machines_need_tls() {
    use Mode::{Disable, Prefer, Require, VerifyFull};
    for (url, address, mode) in [
        ("postgres://u:p@localhost/d", "localhost:5432", Prefer),
        ("postgres://u:p@LOCALHOST/d", "LOCALHOST:5432", Prefer),
        ("postgresql://127.1.2.3:5433/d", "127.1.2.3:5433", Prefer),
        ("postgres://u@[::1]:7/d", "[::1]:7", Prefer),
        ("postgres://[::ffff:127.0.0.1]/d", "[::ffff:127.0.0.1]:5432", Prefer),
        ("postgres:///d?host=/run/pg", "/run/pg", Disable),
        ("postgres://u:p@/d?host=/run/pg&sslmode=verify-full", "/run/pg", Disable),
        ("postgres://%2Frun%2Fpg/d", "/run/pg", Disable),
        ("postgres://u:p@/d?host=db.example.com", "db.example.com:5432", VerifyFull),
        ("postgres://db.example.com/d", "db.example.com:5432", VerifyFull),
        ("postgres://localhost.example.com/d", "localhost.example.com:5432", VerifyFull),
        ("postgres://10.0.0.1/d?application_name=sslmode", "10.0.0.1:5432", VerifyFull),
        ("postgres://u:sslmode=disable@10.0.0.1/d", "10.0.0.1:5432", VerifyFull),
        ("postgres://localhost/d?host=10.0.0.1", "10.0.0.1:5432", VerifyFull),
        ("postgres://localhost/d?hostaddr=10.0.0.1", "localhost:5432", VerifyFull),
        ("postgres://db/d?hostaddr=127.0.0.1", "db:5432", Prefer),
        ("postgres://localhost/d?sslrootcert=system", "localhost:5432", VerifyFull),
        ("postgres://10.0.0.1/d?sslmode=disable", "10.0.0.1:5432", Disable),
        ("postgres://10.0.0.1/d?ssl=true", "10.0.0.1:5432", Require),
        ("postgres://localhost/d?port=6&sslmode=verify-full", "localhost:6", VerifyFull),
    ] {
        let parameters = parse(url).unwrap();
        assert_eq!((parameters.address().as_str(), parameters.tls.mode), (address, mode), "{url}");
    }
}

#[test]
fn all_parts_of_a_url_are_decoded_as_libpq_does() {
    let url = "postgres://us%40er:p%2Fa%3Fs%23s+%20w%25rd@db.example.com:5433/my%20db?application_name=a%2Bb+c\
               &options=-csearch_path%3Dx&sslrootcert=ca.pem&sslcert=/abs/c.pem&sslkey=k.pem&connect_timeout=3\
               &keepalives_idle=5&keepalives_interval=6&keepalives_count=7&tcp_user_timeout=8000&client_encoding=UTF8\
               &channel_binding=prefer&gssencmode=prefer&target_session_attrs=any&sslsni=1&replication=false\
               &load_balance_hosts=random&sslcompression=1&krbsrvname=x&max_protocol_version=latest&pgbouncer=true\
               &ssl_min_protocol_version=TLSv1&sslnegotiation=postgres&sslcertmode=allow&fallback_application_name=f";
    let it = parse(url).unwrap();
    assert_eq!(it.user.as_deref(), Some("us@er"));
    assert_eq!(it.password.as_ref().unwrap().expose_secret(), "p/a?s#s+ w%rd");
    assert_eq!(it.database(), Some("my db"));
    assert_eq!((it.application_name.as_str(), it.options.as_deref()), ("a+b+c", Some("-csearch_path=x")));
    assert_eq!(it.tls.root, Some(Root::File("/etc/larder/ca.pem".into())));
    assert_eq!(it.tls.client, Some(("/abs/c.pem".into(), "/etc/larder/k.pem".into())));
    assert_eq!((it.connect_timeout, it.keepalive.count), (Some(Duration::from_secs(3)), 7));
    assert_eq!(it.keepalive.user_timeout, Duration::from_secs(8));
    assert_eq!(it.silence(), Some((Duration::from_secs(5), Duration::from_secs(6))));

    let plain = parse("postgres://h").unwrap();
    assert_eq!((plain.host, plain.port, plain.database), (Host::Name("h".into()), 5432, None));
    assert_eq!(plain.application_name, "larder");
    assert_eq!(parse("postgres://h?keepalives=0").unwrap().silence(), None);
    assert_eq!(parse("postgres://h?connect_timeout=0").unwrap().connect_timeout, None);
    assert!(parse("postgres://h?sslcert=a&sslkey=b&sslcertmode=disable").unwrap().tls.client.is_none());
}

#[test]
fn what_is_not_supported_is_refused_with_what_to_write() {
    for (parameters, hint) in [
        ("channel_binding=require", "leave it out"),
        ("target_session_attrs=read-write", "leave it out"),
        ("gssencmode=require", "leave it out"),
        ("client_encoding=LATIN1", "leave it out"),
        ("replication=database", "leave it out"),
        ("sslcertmode=require", "leave it out"),
        ("sslpassword=x", "decrypt"),
        ("sslcrl=x", "leave it out"),
        ("passfile=x", "PGPASSFILE"),
        ("service=x", "host"),
        ("require_auth=md5", "leave it out"),
        ("scram_client_key=x", "password"),
        ("oauth_issuer=x", "password"),
        ("ssl-mode=disable", "sslmode"),
        ("schema=x", "search_path"),
        ("nothing-known=x", "leave it out"),
        ("sslmode=maybe", "verify-full"),
        ("sslmode=require&sslrootcert=system", "sslmode=verify-full"),
        ("sslnegotiation=direct&sslmode=prefer", "sslmode"),
        ("ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "leave"),
        ("sslcert=x", "sslkey"),
        ("sslkey=x", "sslcert"),
        ("keepalives=2", "0, 1"),
        ("keepalives_idle=0", "from 1"),
        ("tcp_user_timeout=no", "from 0"),
        ("hostaddr=here", "address"),
        ("connect_timeout=soon", "seconds"),
        ("host=a,b", "one"),
        ("port=1,2", "one"),
        ("port=0", "5432"),
        ("sslmode", "name=value"),
    ] {
        let fault = parse(&format!("postgres://localhost/d?{parameters}")).unwrap_err();
        assert!(fault.hint.contains(hint), "{parameters}: {fault:?}");
    }
    for (url, hint) in [
        ("mysql://u:s3cr3t@h/d", "postgres://"),
        ("host=h user=u password=s3cr3t", "postgres://"),
        ("postgres://u:s3cr3t@a:1,b:2/d", "one"),
        ("postgres://u:s3cr3t@h:port/d", "5432"),
        ("postgres://u:s3cr3t@[::1/d", "[::1]"),
        ("postgres://u:s3cr3t@h<x/d", "host name"),
        ("postgres://u:%00s3cr3t@h/d", "%00"),
        ("postgres://u:%ffs3cr3t@h/d", "UTF-8"),
    ] {
        let fault = parse(url).unwrap_err();
        assert!(fault.hint.contains(hint), "{url}: {fault:?}");
        assert!(!format!("{fault:?}").contains("s3cr3t"), "{fault:?}");
    }
}

#[test]
fn a_port_out_of_range_is_called_so() {
    for url in ["postgres://h:99999/d", "postgres://h:0/d", "postgres://h/d?port=65536"] {
        let fault = parse(url).unwrap_err();
        assert!(fault.message.contains("1 to 65535"), "{url}: {fault:?}");
    }
    assert!(parse("postgres://h:x/d").unwrap_err().message.contains("no number"));
}

/// Each could be a host, a port or a parameter, which messages show.
#[test]
fn an_at_sign_behind_the_host_is_refused() {
    for url in [
        "postgres://u:5432?application_name=x@h/d",
        "postgres://u:5432?sslmode=disable&user=x@h:5433/d",
        "postgres://u:12/x?connect_timeout=3@h/d",
        "postgres://u:p@h/d?application_name=me@home",
        "postgres://h/d?user=me@tenant",
    ] {
        let fault = parse(url).unwrap_err();
        assert!(fault.hint.contains("%40"), "{url}: {fault:?}");
    }
    assert_eq!(parse("postgres://h/d?user=me%40tenant").unwrap().user.as_deref(), Some("me@tenant"));
}

#[test]
fn an_unencoded_character_of_a_password_is_named() {
    for letter in ["?", "#", "/", "@", "%", " ", "\n"] {
        for password in
            [format!("se{letter}cret"), format!("12{letter}xy"), format!("{letter}xy"), format!("12{letter}")]
        {
            for url in [
                format!("postgres://u:{password}@h:5432/d"),
                format!("postgres://u:{password}@h/d?sslmode=require"),
            ] {
                let fault = parse(&url).unwrap_err();
                assert!(fault.hint.contains("%40") && fault.hint.contains("%25"), "{url:?}: {fault:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_fault_and_no_debug_text_has_a_part_of_a_url(
        user in "[a-z]{6,12}Q",
        password in "[A-Za-z0-9?#/@%: &=,\\[\\]]{0,12}ZQXJ[A-Za-z0-9?#/@%: &=,\\[\\]]{0,12}",
        name in "[a-z_]{8,12}Q",
        value in "[A-Za-z0-9@/?]{6,12}Q",
    ) {
        for url in [
            format!("postgres://{user}:{password}@h/d"),
            format!("postgres://{user}:{password}@h/d?{name}={value}"),
            format!("postgres://h/d?user={user}&password={password}&{name}={value}"),
            format!("postgres://{password}"),
            format!("{password}://{user}"),
        ] {
            let shown = match parse(&url) {
                // A host that was parsed may be shown.
                Ok(parameters) => format!("{parameters:?}").replace(&parameters.address(), ""),
                Err(fault) => format!("{fault:?}"),
            };
            for part in [&user, "ZQXJ", &name, &value] {
                prop_assert!(!shown.contains(part), "{url}: {shown}");
            }
        }
    }

    #[test]
    fn an_encoded_password_arrives_whole(password in "\\PC{1,30}") {
        let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let parameters = parse(&format!("postgres://u:{encoded}@h/d")).unwrap();
        let read = parameters.password.unwrap();
        prop_assert_eq!(read.expose_secret(), password.as_str());
    }
}
