//! Files that rotate, are cut, end in the middle of a line, and pipes that nobody writes to.

use super::*;
use std::io::Write as _;
use std::process::Command;

/// Every line that there is at this time.
fn taken(follower: &mut Follower, now: Instant) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let look = follower.look(now);
        let text = |line: Vec<u8>| String::from_utf8(line).unwrap();
        let done = look.at_end && look.lines.is_empty();
        lines.extend(look.lines.into_iter().map(text));
        if done {
            return lines;
        }
    }
}

fn append(path: &Path) -> File {
    File::options().append(true).open(path).unwrap()
}

#[test]
fn a_file_is_followed_through_rotation_and_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let (path, now) = (folder.path().join("access.log"), Instant::now());
    std::fs::write(&path, "old\n").unwrap();
    let mut follower = Follower::at_end(path.clone());
    assert!(taken(&mut follower, now).is_empty());
    let mut file = append(&path);
    file.write_all(b"one\ntw").unwrap();
    assert_eq!(taken(&mut follower, now), ["one"]);
    file.write_all(b"o\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["two"]);
    // Moved away, written to once more, and replaced.
    std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
    assert!(taken(&mut follower, now).is_empty());
    file.write_all(b"late\n").unwrap();
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["late", "new"]);
    std::fs::write(&path, "x\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["x"]);
    // What is no line is passed over, and what comes after it is not.
    let mut file = append(&path);
    file.write_all(&vec![b'a'; 3 * MOST_LINE]).unwrap();
    file.write_all(b"\nafter\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["after"]);
}

#[test]
fn a_file_that_was_moved_away_is_read_until_nothing_comes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, start) = (folder.path().join("access.log"), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    std::fs::write(&path, "").unwrap();
    let mut follower = Follower::at_end(path.clone());
    let mut file = append(&path);
    std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
    std::fs::write(&path, "first\nsec").unwrap();
    assert_eq!(taken(&mut follower, start), ["first"]);
    // Both are written to, and their lines are kept apart.
    let mut new = append(&path);
    for seconds in [4, 8, 12] {
        for _ in 0..50 {
            assert!(taken(&mut follower, after(seconds)).is_empty());
        }
        file.write_all(b"late\nla").unwrap();
        new.write_all(b"ond\nsec").unwrap();
        assert_eq!(taken(&mut follower, after(seconds)), ["late", "second"]);
        file.write_all(b"te\n").unwrap();
        assert_eq!(taken(&mut follower, after(seconds)), ["late"]);
    }
    assert!(taken(&mut follower, after(17)).is_empty());
    file.write_all(b"too late\n").unwrap();
    new.write_all(b"ond\n").unwrap();
    assert_eq!(taken(&mut follower, after(17)), ["second"]);
    // Of many that were moved away the latest are read.
    let mut files = Vec::new();
    for n in 0..=MOST_OLD {
        files.push(append(&path));
        std::fs::rename(&path, folder.path().join(format!("old.{n}"))).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(taken(&mut follower, after(18)).is_empty());
    }
    for (n, file) in files.iter_mut().enumerate() {
        file.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
    assert_eq!(taken(&mut follower, after(18)), ["1", "2", "3", "4"]);
}

#[test]
fn the_rest_of_a_line_that_was_begun_before_is_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let (path, now) = (folder.path().join("access.log"), Instant::now());
    std::fs::write(&path, "old\n198.51.100.7 - - [26/Nov/2026").unwrap();
    let mut follower = Follower::at_end(path.clone());
    assert!(taken(&mut follower, now).is_empty());
    let mut file = append(&path);
    file.write_all(b":12:00:00 +0000] \"GET").unwrap();
    assert!(taken(&mut follower, now).is_empty());
    file.write_all(b" / HTTP/1.1\"\nwhole\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["whole"]);
    // What a file holds after it was cut begins with its first line.
    file.write_all(b"half").unwrap();
    let mut follower = Follower::at_end(path.clone());
    std::fs::write(&path, "new\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["new"]);
}

#[test]
fn a_file_is_read_from_its_beginning_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "old\n").unwrap();
    let mut follower = Follower::at_start(path);
    assert!(!follower.look(Instant::now()).at_end);
    assert!(follower.look(Instant::now()).at_end);
}

#[test]
fn a_file_that_comes_later_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let (path, now) = (folder.path().join("access.log"), Instant::now());
    let mut follower = Follower::at_end(path.clone());
    assert!(taken(&mut follower, now).is_empty());
    std::fs::write(&path, "first\n").unwrap();
    assert_eq!(taken(&mut follower, now), ["first"]);
}

#[tokio::test]
async fn a_pipe_that_is_silent_keeps_neither_time_nor_the_end_from_coming() {
    let folder = tempfile::tempdir().unwrap();
    for writer in [false, true] {
        let path = folder.path().join(format!("pipe {writer}"));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Open to both sides: it opens at once, and who reads waits for more.
        let both = || File::options().read(true).write(true).open(&path).unwrap();
        let held = writer.then(both);
        let (stop, mut looks, mut lines) = (CancellationToken::new(), 0, Vec::new());
        let followed = follow(Follower::at_end(path.clone()), &stop, |look| {
            looks += 1;
            lines.extend_from_slice(&look.lines);
            assert!(!look.at_end || !look.lines.is_empty(), "{look:?}");
            match &held {
                Some(pipe) if looks == 1 => (&*pipe).write_all(b"a line\n").unwrap(),
                Some(_) if lines.is_empty() => {}
                _ if looks >= 3 => stop.cancel(),
                _ => {}
            }
        });
        let ended = tokio::time::timeout(Duration::from_secs(20), followed).await;
        // Lets go of the thread that still waits.
        drop(both());
        ended.expect("it goes on without end").unwrap();
        assert!(looks >= 3 && lines.len() == usize::from(writer), "{looks} {lines:?}");
    }
}
