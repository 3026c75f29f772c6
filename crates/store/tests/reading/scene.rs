//! A project, people around it, and notices written as a worker writes them.

use std::sync::Arc;

use notice::prost::Message as _;
use notice::{Accepted, Error, Frame, Grouping, Notice, NoticeFacts, NoticeId, fold, fold_key};
use store::admin::NewProject;
use store::batch::{Batch, Claim, FacetCount, FingerprintBatch, Identity};
use store::reader::{Opened, Viewer};
use store::{Admin, Reader, Writer, chunk};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::database::Database;

/// Lanes that notices of a scene go through.
const LANES: u16 = 4;

/// Two projects, three people, a writer that holds the lanes and a reader.
pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) reader: Reader,
    pub(crate) member: i64,
    pub(crate) viewer: i64,
    /// A member of the other project.
    pub(crate) stranger: i64,
    writer: Writer,
    claims: Mutex<Vec<Claim>>,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        let database = Database::fresh().await;
        let admin = Admin::connect(&database.url).await.unwrap();
        for (id, name) in [(1, "Shop"), (2, "Other")] {
            let new = NewProject { id: Some(id), name: name.into(), ..NewProject::default() };
            admin.create_project(new).await.unwrap();
        }
        let member = admin.create_user("member@example.org", "", "x").await.unwrap();
        let viewer = admin.create_user("viewer@example.org", "", "x").await.unwrap();
        let stranger = admin.create_user("stranger@example.org", "", "x").await.unwrap();
        admin.add_member(member, 1, "member").await.unwrap();
        admin.add_member(viewer, 1, "viewer").await.unwrap();
        admin.add_member(stranger, 2, "owner").await.unwrap();
        // As the services are: what a role may not read is not read here.
        let as_role = |role: &str| format!("{}?options[role]={role}", database.url);
        let writer = Writer::connect(&as_role("croak_worker")).await.unwrap();
        let claimed = writer.claim_free_lanes("scene", &[0], &[], 64).await.unwrap();
        let claims =
            claimed.iter().map(|claimed| claimed.claim).filter(|claim| claim.lane < LANES).collect::<Vec<_>>().into();
        let reader = Reader::connect(&as_role("croak_web")).unwrap();
        Scene { database, reader, member, viewer, stranger, writer, claims }
    }

    pub(crate) async fn opened(&self) -> Opened {
        self.reader.open(Viewer::User(self.member), 1).await.unwrap().unwrap()
    }

    /// Ids of notices accepted within the last `seconds`, oldest first.
    pub(crate) fn accept(&self, count: usize, seed: u64, seconds: i64) -> Vec<NoticeId> {
        let now_us = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap();
        let mut numbers = Numbers(seed);
        let mut ids: Vec<NoticeId> = (0..count)
            .map(|_| {
                let at_us = now_us - (numbers.next() % (seconds as u64 * 1_000_000)) as i64;
                NoticeId::new(at_us, (numbers.next() % u64::from(LANES)) as u16, numbers.next())
            })
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Writes one batch of notices of a class in each of their lanes.
    pub(crate) async fn write(&self, class: &str, ids: &[NoticeId]) {
        for lane in 0..LANES {
            let mine = ids.iter().filter(|id| id.lane() == lane);
            // The message tells bodies apart; the group does not, as there are frames.
            let named = |id: &NoticeId| Notice {
                client_id: Some(format!("client-{id}")),
                ..sample(class, &id.to_string(), "production", "1.4.2")
            };
            self.commit(lane, mine.map(|id| (*id, named(id))).collect()).await;
        }
    }

    /// Writes notices that all say the same.
    pub(crate) async fn write_with(
        &self,
        class: &str,
        message: &str,
        environment: &str,
        release: &str,
        ids: &[NoticeId],
    ) {
        for lane in 0..LANES {
            let mine = ids.iter().filter(|id| id.lane() == lane);
            let notices = mine.map(|id| (*id, sample(class, message, environment, release))).collect();
            self.commit(lane, notices).await;
        }
    }

    /// Writes one notice as it is.
    pub(crate) async fn write_notice(&self, id: NoticeId, notice: Notice) {
        self.commit(id.lane(), vec![(id, notice)]).await;
    }

    /// The group of a class.
    pub(crate) async fn group_id(&self, class: &str) -> i64 {
        sqlx::query_scalar("select group_id from grp_text where class = $1")
            .bind(class)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    async fn commit(&self, lane: u16, notices: Vec<(NoticeId, Notice)>) {
        let groups = groups_of(notices);
        let Some(newest_at_us) = groups.iter().map(|group| group.last_at_us).max() else { return };
        let batch = Batch { groups, newest_at_us: Some(newest_at_us), ..Batch::default() };
        let mut claims = self.claims.lock().await;
        let claim = claims.iter_mut().find(|claim| claim.lane == lane).unwrap();
        claim.accounted = self.writer.commit(*claim, Arc::new(batch)).await.unwrap().accounted;
    }
}

/// Notices of the first project as a batch has them.
pub(crate) fn groups_of(notices: Vec<(NoticeId, Notice)>) -> Vec<FingerprintBatch> {
    let accepted = notices.into_iter().map(|(id, notice)| Accepted {
        project_id: 1,
        // One key for the class: what is folded together is chosen by the test.
        fold_key: fold_key(&sample(notice.errors[0].class(), "", "", "")),
        id,
        accepted_at_us: id.accepted_at_ms() * 1000,
        facts: NoticeFacts::decode(notice.encode_to_vec().as_slice()).unwrap(),
        body: notice.encode_to_vec(),
    });
    fold(accepted).iter().map(folded_to_batch).collect()
}

fn folded_to_batch(folded: &notice::Folded) -> FingerprintBatch {
    let sample = folded.sample().unwrap();
    let fingerprint = notice::fingerprint(&sample, Grouping::Default);
    let error = &sample.errors[0];
    FingerprintBatch {
        project_id: folded.project_id,
        identity: Arc::new(Identity {
            fingerprint: fingerprint.hash,
            version: fingerprint.version,
            parts_json: serde_json::to_string(&fingerprint.parts).unwrap(),
            class: error.class().to_owned(),
            message: error.message().to_owned(),
            culprit: notice::culprit(&sample),
            words: notice::search_words(&sample),
            frame_names: notice::frame_names(&sample),
        }),
        notice_count: folded.items.len() as u64,
        first_at_us: folded.first_at_us,
        last_at_us: folded.last_at_us,
        newest_id: folded.items.iter().map(|item| item.id).max().unwrap(),
        minutes: folded.minutes.iter().map(|(minute, count)| (*minute, u64::from(*count))).collect(),
        facets: folded
            .facets
            .iter()
            .map(|(key, value, count, first_at_us, last_at_us)| {
                let count = FacetCount { notice_count: *count, first_at_us: *first_at_us, last_at_us: *last_at_us };
                ((key.clone(), value.clone()), count)
            })
            .collect(),
        users: folded.users.clone(),
        user_hashes: folded.user_hashes.clone(),
        chunks: chunk::encode(&folded.items),
    }
}

/// A notice with one frame.
pub(crate) fn sample(class: &str, message: &str, environment: &str, release: &str) -> Notice {
    Notice {
        protocol: "airbrake-json".into(),
        environment: Some(environment.into()),
        release: Some(release.into()),
        errors: vec![Error {
            class: Some(class.into()),
            message: Some(message.into()),
            frames: vec![Frame {
                file: Some("app/models/order.rb".into()),
                function: Some("total".into()),
                line: Some(7),
                in_app: Some(true),
                ..Frame::default()
            }],
            ..Error::default()
        }],
        ..Notice::default()
    }
}

/// The same in another order.
pub(crate) fn shuffled(ids: &[NoticeId], seed: u64) -> Vec<NoticeId> {
    let mut numbers = Numbers(seed);
    let mut ids = ids.to_vec();
    for last in (1..ids.len()).rev() {
        ids.swap(last, (numbers.next() % (last as u64 + 1)) as usize);
    }
    ids
}

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
