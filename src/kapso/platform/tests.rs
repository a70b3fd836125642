use super::*;

fn read(json: &str) -> Result<Execution, serde_json::Error> {
    execution(serde_json::from_str(json).unwrap()).map(|item| match item {
        Item::Known(execution) | Item::Odd(execution, _) => execution,
        Item::NotYet(_) => panic!("an execution is there"),
    })
}

#[allow(clippy::unnecessary_wraps, reason = "reads like the field it is compared with")]
fn at(time: &str) -> Option<Timestamp> {
    Some(time.parse().unwrap())
}

#[test]
fn an_execution_as_documented() {
    let execution = read(
        r#"{"id":"e1","status":"waiting","started_at":"2025-12-05T17:20:00Z","last_event_at":"2025-12-05T17:25:00Z",
            "ended_at":null,"tracking_id":null,"whatsapp_conversation_id":"c1",
            "workflow":{"id":"flow_789","name":"Order Support","status":"active"},
            "current_step":{"id":"s1","identifier":"wait_response","stepable_type":"FlowWaitStep","position":{}}}"#,
    );
    let expected = Execution {
        id: "e1".into(),
        workflow: Some(Workflow { id: "flow_789".into(), name: Some("Order Support".into()) }),
        conversation: Some("c1".into()),
        status: Status::Waiting,
        started_at: at("2025-12-05T17:20:00Z"),
        last_event_at: at("2025-12-05T17:25:00Z"),
        ended_at: None,
        handoff: None,
        step: Some(Step { identifier: "wait_response".into(), step_type: "FlowWaitStep".into() }),
    };
    assert_eq!(execution.unwrap(), expected);
}

#[test]
fn an_id_alone_is_enough() {
    let execution = read(r#"{"id":42,"surprise":[{}]}"#).unwrap();
    assert_eq!((execution.id.as_str(), execution.status), ("42", Status::Unknown));
    assert_eq!(execution.position(), None);
}

#[test]
fn nulls_and_odd_details_are_accepted() {
    let execution = read(
        r#"{"id":"e1","status":null,"started_at":null,"last_event_at":"","workflow":{"id":null,"name":"x"},
            "current_step":"wait","tracking_id":{"deep":1}}"#,
    )
    .unwrap();
    assert_eq!((execution.workflow, execution.step), (None, None));
}

#[test]
fn offsets_and_fractions_are_exact() {
    let execution = read(
        r#"{"id":"e1","status":"ended","started_at":"2025-12-05T19:20:00.5+02:00",
            "last_event_at":"2025-12-05T17:20:01","ended_at":"2025-12-05T17:20:02.123456Z"}"#,
    )
    .unwrap();
    assert_eq!(execution.started_at, at("2025-12-05T17:20:00.5Z"));
    assert_eq!(execution.last_event_at, at("2025-12-05T17:20:01Z"));
    assert_eq!(execution.duration(), Some(1.623_456));
}

#[test]
fn a_finished_execution_without_an_end_ended_with_its_last_event() {
    let execution = read(r#"{"id":"e1","status":"failed","last_event_at":"2025-12-05T17:25:00Z"}"#).unwrap();
    assert_eq!(execution.ended_at, at("2025-12-05T17:25:00Z"));
}

#[test]
fn a_handoff_is_open_although_it_may_carry_an_end() {
    let execution = read(
        r#"{"id":"e1","status":"handoff","last_event_at":"2025-12-05T17:25:00Z","ended_at":"2025-12-05T17:25:00Z"}"#,
    )
    .unwrap();
    assert_eq!(execution.ended_at, None);
    assert_eq!(execution.handoff.unwrap().at, at("2025-12-05T17:25:00Z"));
}

#[test]
fn in_an_unknown_status_only_an_end_that_is_told_is_one() {
    for (status, name) in [("\"cancelled\"", "cancelled"), ("\"+1555 Ada\"", "other"), ("null", "missing")] {
        let json = |end| {
            format!(
                r#"{{"id":"e1","status":{status},"last_event_at":"2025-12-05T17:25:00Z","ended_at":{end}}}"#
            )
        };
        let over = read(&json(r#""2025-12-05T17:20:00Z""#)).unwrap();
        assert_eq!((over.status, over.ended_at), (Status::Unknown, at("2025-12-05T17:20:00Z")));
        assert_eq!(read(&json("null")).unwrap().ended_at, None);
        let item = execution(serde_json::from_str(&json("null")).unwrap()).unwrap();
        assert!(matches!(item, Item::Odd(_, told) if told == name), "{status}");
    }
}

#[test]
fn what_cannot_be_an_execution_is_refused() {
    for bad in [
        "null",
        "\"gone\"",
        "{}",
        r#"{"id":""}"#,
        r#"{"id":null}"#,
        r#"{"id":"e1","started_at":"yesterday"}"#,
        r#"{"id":"e1","ended_at":1733419200}"#,
        r#"{"id":"e1","status":7}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_single_execution_may_come_bare_or_wrapped() {
    let bare = workflow_execution(br#"{"id":"e1","status":"ended"}"#).unwrap();
    let wrapped = workflow_execution(br#"{"data":{"id":"e1","status":"ended"}}"#).unwrap();
    assert_eq!(bare, wrapped);
}
