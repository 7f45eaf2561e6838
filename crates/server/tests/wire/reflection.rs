//! What the gRPC door says of itself: services that are served, and descriptors that are whole.

use crate::common::{Gate, nobody};
use prost::Message;
use prost_types::FileDescriptorProto;
use std::collections::BTreeMap;
use tonic::transport::Channel;
use tonic_reflection::pb::{v1, v1alpha};

async fn served() -> (Gate, Channel) {
    let gate = Gate::start(nobody().await, "gateway: {grpc: '127.0.0.1:0'}").await;
    let url = format!("http://{}", gate.grpc.unwrap());
    (gate, Channel::from_shared(url).unwrap().connect().await.unwrap())
}

/// What one stream of questions is answered.
async fn ask(
    channel: Channel,
    questions: Vec<v1::server_reflection_request::MessageRequest>,
) -> Vec<v1::server_reflection_response::MessageResponse> {
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let questions = questions.into_iter().map(|question| v1::ServerReflectionRequest {
        message_request: Some(question),
        ..v1::ServerReflectionRequest::default()
    });
    let stream = futures_util::stream::iter(questions.collect::<Vec<_>>());
    let mut answers = client.server_reflection_info(stream).await.unwrap().into_inner();
    let mut heard = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        heard.push(answer.message_response.unwrap());
    }
    heard
}

#[tokio::test]
async fn what_is_served_is_told_with_all_that_it_imports() {
    use v1::server_reflection_request::MessageRequest as Ask;
    use v1::server_reflection_response::MessageResponse as Told;
    let (gate, channel) = served().await;
    let told = ask(channel.clone(), vec![Ask::ListServices(String::new())]).await;
    let [Told::ListServicesResponse(list)] = &told[..] else { panic!("{told:?}") };
    let mut names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    for name in ["envoy.service.auth.v3.Authorization", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    // Each that is listed is described, and with its imports the description is whole.
    let mut files = BTreeMap::new();
    for name in &names {
        let told = ask(channel.clone(), vec![Ask::FileContainingSymbol((*name).to_owned())]).await;
        let [Told::FileDescriptorResponse(told)] = &told[..] else { panic!("{name}") };
        let file = FileDescriptorProto::decode(&*told.file_descriptor_proto[0]).unwrap();
        let (package, service) = name.rsplit_once('.').unwrap();
        assert_eq!(file.package(), package);
        assert!(file.service.iter().any(|known| known.name() == service), "{name}");
        let mut wanted = vec![file];
        while let Some(file) = wanted.pop() {
            let imports = file.dependency.clone();
            files.insert(file.name().to_owned(), file);
            for import in imports {
                if !files.contains_key(&import) {
                    let told = ask(channel.clone(), vec![Ask::FileByFilename(import)]).await;
                    let [Told::FileDescriptorResponse(told)] = &told[..] else { panic!() };
                    let bytes = &*told.file_descriptor_proto[0];
                    wanted.push(FileDescriptorProto::decode(bytes).unwrap());
                }
            }
        }
    }
    // Every service of the files that is not listed is not served.
    for (name, file) in &files {
        for service in &file.service {
            let whole = format!("{}.{}", file.package(), service.name());
            assert!(names.contains(&&*whole), "{whole} of {name}");
        }
    }
    let mut check = files["envoy/service/auth/v3/external_auth.proto"].service[0].method.iter();
    assert_eq!(check.next().unwrap().input_type(), ".envoy.service.auth.v3.CheckRequest");
    gate.stop().await;
}

#[tokio::test]
async fn the_older_version_is_answered_alike() {
    use v1alpha::server_reflection_request::MessageRequest as Ask;
    let (gate, channel) = served().await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let question = v1alpha::ServerReflectionRequest {
        message_request: Some(Ask::ListServices(String::new())),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let stream = futures_util::stream::iter(vec![question]);
    let mut answers = client.server_reflection_info(stream).await.unwrap().into_inner();
    let told = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list) = told
    else {
        panic!("{told:?}")
    };
    assert!(list.service.iter().any(|s| s.name == "envoy.service.auth.v3.Authorization"));
    gate.stop().await;
}
