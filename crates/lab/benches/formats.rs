//! Lines parsed a second, on one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tidegate_lab::formats::{Format, Parser};

const LINES: usize = 10_000;

fn combined(index: usize) -> String {
    format!(
        "203.0.113.{} - - [18/Jul/2023:13:{:02}:{:02} +0000] \"GET /catalog/items/{index}?page={} HTTP/2.0\" 200 {} \"https://shop.example/catalog\" \"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:108.0) Gecko/20100101 Firefox/108.0\"",
        index % 250,
        index / 600 % 60,
        index / 10 % 60,
        index % 9,
        500 + index * 7,
    )
}

fn json(index: usize) -> String {
    format!(
        "{{\"time\":\"2023-07-18T13:{:02}:{:02}.{:03}Z\",\"client_ip\":\"203.0.113.{}\",\"method\":\"GET\",\"path\":\"/catalog/items/{index}?page={}\",\"status\":200,\"bytes\":{},\"referer\":\"https://shop.example/catalog\",\"user_agent\":\"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:108.0) Gecko/20100101 Firefox/108.0\",\"duration_ms\":12.5}}",
        index / 600 % 60,
        index / 10 % 60,
        index % 1000,
        index % 250,
        index % 9,
        500 + index * 7,
    )
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(LINES as u64));
    group.warm_up_time(std::time::Duration::from_secs(1));
    group.measurement_time(std::time::Duration::from_secs(3));
    type Write = fn(usize) -> String;
    for (format, write) in [(Format::Combined, combined as Write), (Format::Json, json as Write)] {
        let lines: Vec<String> = (0..LINES).map(write).collect();
        let mut parser = Parser::new(&format, &[]).expect("a built-in format compiles");
        group.bench_function(format.to_string(), |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    let record = parser.parse_line(black_box(line.as_bytes()));
                    black_box(record.expect("the generated lines are well formed"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
