//! Who finds a place at a door when many strangers want one.

use super::*;
use crate::config::TlsFiles;
use crate::shared::Live;
use crate::tls::HTTP_2;
use certs::Authority;
use tidegate_engine::Engine;

// The same certificates that the tests over public interfaces make.
#[allow(unreachable_pub)]
#[path = "../../tests/common/certs.rs"]
mod certs;

fn shared(resolved: &Resolved) -> Arc<Shared> {
    let engine = Arc::new(Engine::new(resolved.policy.clone(), Default::default()));
    Arc::new(Shared::new(engine, Live::new(resolved, None), Vec::new()))
}

#[tokio::test]
async fn strangers_leave_room_for_those_who_may_ask() {
    let resolved = Resolved::defaults().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = sockets.local_addr().unwrap();
    let mut door = Door::new(shared(&resolved), listener, None, &resolved);
    let mut take = async |addr: [u8; 4]| {
        let (client, accepted) = tokio::join!(TcpStream::connect(address), sockets.accept());
        client.unwrap();
        door.take(accepted.unwrap().0, addr.into())
    };
    let mut held = Vec::new();
    for _ in 0..STRANGERS {
        held.push(take([192, 0, 2, 1]).await.expect("there is room"));
    }
    assert!(take([192, 0, 2, 2]).await.is_none());
    assert!(take([127, 0, 0, 1]).await.is_some());
    held.pop();
    assert!(take([192, 0, 2, 2]).await.is_some());
}

#[tokio::test]
async fn silent_strangers_keep_no_gateway_from_showing_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("gateways");
    let (cert, key) = authority.signs().write(folder.path(), "server");
    let client_ca = Some(authority.write(folder.path(), "authority.pem"));
    let tls = ServerTls::new(TlsFiles { cert, key, client_ca }, HTTP_2).unwrap();
    let resolved = Resolved::defaults().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = sockets.local_addr().unwrap();
    let mut door = Door::new(shared(&resolved), listener, Some(tls), &resolved);
    let take = async |door: &mut Door, addr: [u8; 4]| {
        let (client, accepted) = tokio::join!(TcpStream::connect(address), sockets.accept());
        assert!(door.take(accepted.unwrap().0, addr.into()).is_none());
        client.unwrap()
    };
    let mut silent = Vec::new();
    for _ in 0..STRANGERS {
        silent.push(take(&mut door, [192, 0, 2, 1]).await);
    }
    let certified = authority.believed(Some(&authority.signs()));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(certified));
    let mut held = Vec::new();
    for _ in 0..3 {
        let stream = take(&mut door, [192, 0, 2, 2]).await;
        let name = "localhost".try_into().unwrap();
        let (client, connection) =
            tokio::join!(connector.connect(name, stream), poll_fn(|cx| door.poll_connection(cx)));
        assert!(connection.caller.certified);
        held.push((client.unwrap(), connection));
    }
    // The oldest made room for the first; whose handshake is done needs none any more.
    for (n, stream) in silent.iter().enumerate() {
        let closed = match n {
            0 => timeout(Duration::from_secs(15), stream.readable()).await.is_ok(),
            _ => stream.try_read(&mut [0]).is_ok(),
        };
        assert_eq!(closed, n == 0, "{n}");
    }
}
