//! Folding gives the same, whatever the order of what is folded.

use notice::prost::Message as _;
use notice::{Accepted, Error, Notice, NoticeFacts, NoticeId, Server, User, fold, fold_key};
use proptest::prelude::*;

/// A notice of one of a few kinds, users, hosts and minutes.
fn accepted(number: u64, kind: u8, user: u8, host: u8, at_s: i64) -> Accepted {
    let at_us = 1_795_316_388_000_000 + at_s * 1_000_000;
    let notice = Notice {
        environment: Some("production".into()),
        errors: vec![Error { class: Some(format!("Kind{kind}")), ..Error::default() }],
        user: Some(User { id: Some(user.to_string()), ..User::default() }),
        server: Some(Server { hostname: Some(format!("web-{host}")), ..Server::default() }),
        tags_json: Some(format!("{{\"shard\":{user},\"\":\"x\",\"none\":null}}")),
        ..Notice::default()
    };
    Accepted {
        project_id: i64::from(kind % 2),
        fold_key: fold_key(&notice),
        id: NoticeId::new(at_us, 3, number),
        accepted_at_us: at_us,
        facts: NoticeFacts::decode(notice.encode_to_vec().as_slice()).expect("it was encoded here"),
        body: number.to_le_bytes().to_vec(),
    }
}

fn batch() -> impl Strategy<Value = Vec<Accepted>> {
    proptest::collection::vec((0_u8..4, 0_u8..100, 0_u8..3, 0_i64..300), 0..120).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(number, (kind, user, host, at))| accepted(number as u64, kind, user, host, at))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_order_does_not_matter((batch, shuffled) in batch().prop_flat_map(|batch| (Just(batch.clone()), Just(batch).prop_shuffle()))) {
        prop_assert_eq!(fold(batch), fold(shuffled));
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_added(batch in batch()) {
        let folded = fold(batch.clone());
        prop_assert_eq!(folded.iter().map(|fold| fold.items.len()).sum::<usize>(), batch.len());
        for fold in &folded {
            prop_assert!(fold.items.is_sorted());
            prop_assert_eq!(fold.minutes.iter().map(|(_, count)| *count as usize).sum::<usize>(), fold.items.len());
            prop_assert!(fold.minutes.iter().all(|(minute, _)| minute % 60 == 0));
            let of_key = |key: &str| fold.facets.iter().filter(|facet| facet.0 == key).map(|facet| facet.2).sum::<u64>();
            prop_assert_eq!(of_key("environment"), fold.items.len() as u64);
            prop_assert_eq!(of_key("hostname"), fold.items.len() as u64);
            prop_assert_eq!(fold.first_at_us, fold.items[0].accepted_at_us);
            prop_assert_eq!(Some(fold.last_at_us), fold.items.last().map(|item| item.accepted_at_us));
            prop_assert!(fold.facets.iter().all(|facet| !facet.1.is_empty() && facet.3 <= facet.4));
            prop_assert!(fold.users.estimate() as usize <= fold.items.len());
        }
    }
}

#[test]
fn users_facets_and_minutes_are_counted() {
    let folded =
        fold([accepted(1, 0, 7, 1, 0), accepted(2, 0, 7, 2, 61), accepted(3, 0, 8, 1, 62), accepted(4, 1, 9, 1, 0)]);
    assert_eq!(folded.len(), 2);
    let first = &folded[0];
    assert_eq!((first.items.len(), first.users.estimate()), (3, 2));
    assert_eq!(first.minutes.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2]);
    let hosts: Vec<_> =
        first.facets.iter().filter(|facet| facet.0 == "hostname").map(|facet| (facet.1.as_str(), facet.2)).collect();
    assert_eq!(hosts, [("web-1", 2), ("web-2", 1)]);
    assert!(first.facets.iter().any(|facet| facet.0 == "shard" && facet.1 == "7" && facet.2 == 2));
}
