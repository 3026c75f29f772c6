//! Attachments: a file is shown when all of it is there, is stored once however often it is sent, and goes with its day.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use journal::{Kind, Record};
use notice::prost::Message as _;
use notice::{AttachmentEnd, AttachmentPart, NoticeId};
use queue::body;
use sha2::{Digest as _, Sha256};
use store::Writer;
use store::housekeeper::Turn;
use store::reader::{Attachment, Reader, Viewer};
use support::{Bench, PROJECT, now_us, record_at};
use uuid::Uuid;

const LANE: u16 = 5;
const EVENT: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";
const DAY_US: i64 = 86_400_000_000;

/// One upload of a file, as a gateway makes it.
struct Upload {
    id: NoticeId,
    at_us: i64,
    content: Vec<u8>,
}

impl Upload {
    fn of(content: &[u8]) -> Upload {
        Upload::at(content, now_us())
    }

    fn at(content: &[u8], at_us: i64) -> Upload {
        Upload { id: NoticeId::new(at_us, LANE, rand::random()), at_us, content: content.to_vec() }
    }

    /// Its records, numbered from `seq` on: parts of so many bytes, of which the last one tells the end.
    fn records(&self, seq: u64, part_bytes: usize) -> Vec<Record> {
        let parts: Vec<&[u8]> = self.content.chunks(part_bytes).collect();
        let end = AttachmentEnd {
            id: Sha256::digest(&self.content)[..16].to_vec(),
            client_id: EVENT.to_owned(),
            name: "server.log".to_owned(),
            content_type: "text/plain".to_owned(),
            attachment_type: "event.attachment".to_owned(),
            byte_length: self.content.len() as u64,
            part_count: u32::try_from(parts.len()).unwrap(),
            sha256: Sha256::digest(&self.content).to_vec(),
        };
        let numbered = |(part, content): (usize, &&[u8])| AttachmentPart {
            part: u32::try_from(part).unwrap(),
            content: content.to_vec(),
            end: (part + 1 == parts.len()).then(|| end.clone()),
            given_up: false,
        };
        parts.iter().enumerate().map(numbered).zip(seq..).map(|(part, seq)| self.record(seq, &part)).collect()
    }

    fn record(&self, seq: u64, part: &AttachmentPart) -> Record {
        Record {
            kind: Kind::AttachmentPart as u8,
            codec: body::CODEC_ZSTD,
            lane: LANE,
            seq,
            project_id: PROJECT,
            fold_key_version: 0,
            fold_key: [0; 16],
            accepted_at_us: self.at_us,
            id: *self.id.as_bytes(),
            body: body::compress(&part.encode_to_vec()),
        }
    }

    fn given_up(&self, seq: u64) -> Record {
        self.record(seq, &AttachmentPart { given_up: true, ..AttachmentPart::default() })
    }
}

/// Bytes that gain nothing by packing.
fn noise(count: usize) -> Vec<u8> {
    let mut noise = vec![0; count];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut noise);
    noise
}

/// What a reader is shown of the event's files, with their bytes.
async fn shown(bench: &Bench) -> Vec<(Attachment, Vec<u8>)> {
    let reader = Reader::connect(&bench.database.url).unwrap();
    let opened = reader.open(Viewer::Project(PROJECT as i64), PROJECT as i64).await.unwrap().unwrap();
    let mut shown = Vec::new();
    for attachment in reader.attachments(&opened, EVENT).await.unwrap() {
        let mut content = Vec::new();
        for part in 0..attachment.part_count {
            content.extend(reader.attachment_part(&opened, &attachment, part).await.unwrap());
        }
        shown.push((attachment, content));
    }
    shown
}

async fn part_count(bench: &Bench) -> i64 {
    bench.number("select count(*) from attachment_part").await
}

#[tokio::test]
async fn i17_a_file_is_shown_when_all_of_it_is_there_in_whatever_order_it_came() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let upload = Upload::of(&noise(10_000));
    let mut records = upload.records(1, 1_000);
    assert_eq!(records.len(), 10);
    let late = records.remove(4);
    records.reverse();
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    assert!(shown(&bench).await.is_empty(), "one part is missing");
    bench.audit().await;
    bench.ship(journal, 1, &late).await;
    bench.drained(LANE).await;
    let shown = shown(&bench).await;
    let [(attachment, content)] = shown.as_slice() else { panic!("{shown:?}") };
    assert!(*content == upload.content);
    assert_eq!((attachment.name.as_str(), attachment.content_type.as_str()), ("server.log", "text/plain"));
    assert_eq!((attachment.byte_length, attachment.part_count), (10_000, 10));
    assert_eq!(bench.number("select attachment_records from lane_state where lane = 5").await, 10);
    worker.stop().await;
    bench.audit().await;
}

#[tokio::test]
async fn what_is_sent_again_is_stored_once_and_its_parts_are_not_kept() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let first = Upload::of(b"a line of a log\n".repeat(200).as_slice());
    // The same record again, and the same file by another request, also within one batch.
    let again = Upload::of(&first.content);
    let once_more = Upload::of(&first.content);
    bench
        .ship_all(journal, 1, &[first.records(1, 1_000), first.records(1, 1_000), again.records(5, 1_000)].concat())
        .await;
    bench.drained(LANE).await;
    bench.ship_all(journal, 1, &once_more.records(9, 3_200)).await;
    bench.drained(LANE).await;
    worker.stop().await;
    let shown = shown(&bench).await;
    assert_eq!(shown.len(), 1);
    assert!(shown[0].1 == first.content);
    assert_eq!(part_count(&bench).await, 4);
    assert_eq!(bench.number("select min(codec)::bigint from attachment_part").await, 1, "a log is packed");
    assert_eq!(bench.number("select attachment_records from lane_state where lane = 5").await, 4 + 4 + 1);
    bench.audit().await;
}

#[tokio::test]
async fn what_is_broken_off_is_never_shown_and_goes() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let given_up = Upload::of(&noise(3_000));
    let mut records = given_up.records(1, 1_000);
    records[2] = given_up.given_up(3);
    // Nobody says anything any more of this one.
    let orphan = Upload::of(&noise(3_000));
    records.extend(orphan.records(4, 1_000).into_iter().take(2));
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert!(shown(&bench).await.is_empty());
    assert_eq!(part_count(&bench).await, 2);
    bench.audit().await;
}

#[tokio::test]
async fn a_worker_that_dies_between_parts_leaves_them_once() {
    let bench = Bench::new().await;
    let journal = Uuid::now_v7();
    let upload = Upload::of(&noise(40_000));
    let records = upload.records(1, 1_000);
    for some in records.chunks(7) {
        let worker = bench.worker("fold").await;
        bench.ship_all(journal, 1, some).await;
        bench.drained(LANE).await;
        worker.kill();
        // What the next one finds is what the last one has committed, and what is sent again.
        bench.ship_all(journal, 1, some).await;
    }
    let worker = bench.worker("fold").await;
    bench.drained(LANE).await;
    worker.stop().await;
    let shown = shown(&bench).await;
    assert!(shown.len() == 1 && shown[0].1 == upload.content);
    assert_eq!(bench.number("select attachment_records from lane_state where lane = 5").await, 40);
    bench.audit().await;
}

#[tokio::test]
async fn an_audit_finds_a_part_that_is_missing_and_one_that_is_not_what_came_in() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    bench.ship_all(Uuid::now_v7(), 1, &Upload::of(&noise(3_000)).records(1, 1_000)).await;
    bench.drained(LANE).await;
    worker.stop().await;
    bench.audit().await;
    let findings = async || {
        let admin = store::Admin::connect(&bench.database.url).await.unwrap();
        admin.audit(None).await.unwrap().findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    bench.run("update attachment_part set body = set_byte(body, 7, 255 - get_byte(body, 7)) where part = 1").await;
    let found = findings().await;
    assert!(found.len() == 1 && found[0].ends_with("is not what came in"), "{found:?}");
    bench.run("delete from attachment_part where part = 1").await;
    let found = findings().await;
    assert!(found.len() == 1 && found[0].ends_with("lacks parts"), "{found:?}");
    assert!(shown(&bench).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_is_buried_and_the_rest_goes_on() {
    let bench = Bench::new().await;
    let worker = bench.worker("fold").await;
    let journal = Uuid::now_v7();
    let upload = Upload::of(&noise(1_000));
    let mut records = upload.records(1, 1_000);
    records.push(support::other(LANE, 2, Kind::AttachmentPart as u8, b"\xff\xff"));
    let end = AttachmentEnd { id: vec![1; 3], sha256: vec![0; 32], ..AttachmentEnd::default() };
    records.push(upload.record(3, &AttachmentPart { end: Some(end.clone()), ..AttachmentPart::default() }));
    // The database refuses this: the sum has not 32 bytes, and no text has a NUL.
    let end = AttachmentEnd { id: vec![1; 16], name: "a\0b".into(), sha256: vec![0; 3], ..end };
    records.push(upload.record(4, &AttachmentPart { end: Some(end), ..AttachmentPart::default() }));
    bench.ship_all(journal, 1, &records).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!(shown(&bench).await.len(), 1);
    assert_eq!(bench.number("select count(*) from dead_notice where kind = 8").await, 3);
    bench.audit().await;
}

#[tokio::test]
async fn files_go_by_their_projects_retention_and_with_the_project() {
    let bench = Bench::new().await;
    bench.run("select partition_ensure((now() at time zone 'utc')::date - d) from generate_series(0, 6) d").await;
    bench.run("insert into project (id, slug, name) values (2, 'long', 'Long')").await;
    let mut records = Vec::new();
    for day in 0..6 {
        let seq = records.len() as u64 + 1;
        // Different files: the same one would be there already.
        records.extend(Upload::at(&noise(2_000), now_us() - day * DAY_US).records(seq, 1_000));
        let seq = records.len() as u64 + 1;
        records.push(record_at(LANE, seq, now_us() - day * DAY_US, &support::notice("Timeout")));
    }
    let worker = bench.worker("fold").await;
    bench.ship_all(Uuid::now_v7(), 1, &records).await;
    bench.drained(LANE).await;
    worker.stop().await;
    assert_eq!((shown(&bench).await.len(), part_count(&bench).await), (6, 12));

    let writer = Writer::connect(&bench.worker_url()).await.unwrap();
    let mut housekeeper = writer.housekeeper().await.unwrap().unwrap();
    // By slices, because another project keeps its days longer.
    bench
        .run("update project set retention_days = 3 where id = 1; update project set retention_days = 90 where id = 2")
        .await;
    housekeeper.expire(Turn::WHOLE).await.unwrap();
    assert_eq!((shown(&bench).await.len(), part_count(&bench).await), (4, 8));
    bench.audit().await;
    // By whole days.
    bench.run("update project set retention_days = 1").await;
    housekeeper.expire(Turn::WHOLE).await.unwrap();
    assert_eq!((shown(&bench).await.len(), part_count(&bench).await), (2, 4));
    assert_eq!(bench.number("select count(*) from attachment").await, 2);
    bench.audit().await;

    bench.run("update project set deleted_at = now() - interval '1 hour' where id = 1").await;
    housekeeper.sweep_deleted_projects(Turn::WHOLE).await.unwrap();
    assert_eq!(
        bench.number("select (select count(*) from attachment) + (select count(*) from attachment_part)").await,
        0
    );
    bench.audit().await;
}
