use super::*;

fn sent(prefix: &str, path_id: u32, med: u32) -> AdvertisedRoute {
    let attributes = AttributesSnapshot {
        next_hop: Some("10.0.0.1".parse().unwrap()),
        as_path: String::new(),
        origin: bgp::wire::Origin::Igp,
        local_pref: None,
        med: Some(med),
        communities: Vec::new(),
        extended_communities: Vec::new(),
        large_communities: Vec::new(),
        originator_id: None,
        cluster_list: Vec::new(),
        only_to_customer: None,
    };
    AdvertisedRoute { prefix: prefix.parse().unwrap(), path_id, attributes }
}

#[test]
fn paths_of_one_prefix_stand_together_with_their_identifiers() {
    let mut document = RoutesDocument::default();
    add_advertised(&mut document, &[sent("10.1.0.0/16", 0, 1), sent("10.2.0.0/16", 7, 2)]);
    // The next page.
    add_advertised(&mut document, &[sent("10.3.0.0/16", 7, 3), sent("10.3.0.0/16", 9, 4)]);
    let seen: Vec<_> = document
        .routes
        .iter()
        .map(|route| {
            let paths = route.paths.iter().map(|path| (path.path_id, path.med.unwrap()));
            (route.prefix.to_string(), paths.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("10.1.0.0/16".to_owned(), vec![(None, 1)]),
            ("10.2.0.0/16".to_owned(), vec![(Some(7), 2)]),
            ("10.3.0.0/16".to_owned(), vec![(Some(7), 3), (Some(9), 4)]),
        ]
    );
}
