//! The platform API's endpoints: which part of the world each one shows.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    Api,
    answer::Answer,
    conversation::PHONE_NUMBER_IDS,
    paging::{List, Window, cursor_window, meta, numbered_window},
    query::Params,
    random::hash,
    view::View,
    wire::waiting_reason,
    world::Row,
};

const EXECUTION_STATUSES: [&str; 5] = ["running", "waiting", "ended", "failed", "handoff"];
/// For how long some fresh executions can be listed but not yet be read by themselves.
const FRESH: SignedDuration = SignedDuration::from_millis(500);

type Outcome = Result<Answer, Answer>;

/// `GET /whatsapp/conversations`
pub fn conversations(view: &View<'_>, params: &Params) -> Outcome {
    let window = cursor_window("conversations", params)?;
    let status = params.one_of("status", &["active", "ended"])?;
    let created = params.range("created_after", "created_before")?;
    let active = params.range("last_active_after", "last_active_before")?;
    let (number, line) = (params.get("phone_number").map(digits), params.get("phone_number_id"));
    let matches = |row: Row| {
        let (conversation, standing) = (&view.world.conversations[row], view.standing(row));
        let phone = || digits(&view.world.people[conversation.person].phone);
        status.is_none_or(|status| status == standing.status())
            && created.contains(conversation.created_at)
            && (active.is_unbounded() || view.tells_activity(row))
            && active.contains(standing.last_active_at)
            && line.is_none_or(|line| line == conversation.phone_number_id())
            && number.as_ref().is_none_or(|number| *number == phone())
    };
    let keys = &view.by_activity(Api::Platform);
    let render = |row| view.conversation_item(row);
    Ok(Answer::ok(List { name: "conversations", keys, matches: &matches, render: &render }.page(window)))
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// `GET /whatsapp/conversations/{id}/flow_executions`
pub fn flow_executions(view: &View<'_>, params: &Params, id: &str) -> Outcome {
    let row = view.conversation_row(Api::Platform, id).ok_or_else(|| not_found("Conversation not found"))?;
    let window = cursor_window("flow_executions", params)?;
    let status = params.one_of("status", &EXECUTION_STATUSES)?;
    let matches = |row: Row| {
        view.is_listed(row)
            && !view.hides_from_conversation(row)
            && status.is_none_or(|status| status == view.execution(row).status())
    };
    let keys = &view.world.conversations[row].executions;
    let render = |row| view.execution_item(row);
    Ok(Answer::ok(List { name: "flow_executions", keys, matches: &matches, render: &render }.page(window)))
}

/// `GET /workflows`
pub fn workflows(view: &View<'_>, params: &Params) -> Outcome {
    let status = params.one_of("status", &["draft", "active", "archived"])?;
    let part = params.get("name_contains").map(str::to_lowercase);
    let rows = view.world.present_workflows(Api::Platform).into_iter();
    let named = rows.filter(|&row| {
        let name = view.world.workflows[row].name.to_lowercase();
        part.as_ref().is_none_or(|part| name.contains(part)) && status.is_none_or(|status| status == "active")
    });
    let data: Vec<Value> = named.map(|row| view.workflow_item(row)).collect();
    Ok(Answer::ok(json!({"data": data})))
}

/// `GET /workflows/{id}/executions`
pub fn workflow_executions(view: &View<'_>, params: &Params, id: &str) -> Outcome {
    let row = view.world.workflow_row(Api::Platform, id).ok_or_else(|| not_found("Workflow not found"))?;
    let window = cursor_window("executions", params)?;
    let status = params.one_of("status", &EXECUTION_STATUSES)?;
    let created = params.range("created_after", "created_before")?;
    let (reason, conversation) = (params.get("waiting_reason"), params.get("whatsapp_conversation_id"));
    let matches = |row: Row| {
        let execution = &*view.execution(row);
        let its_conversation = || execution.conversation.map(|row| view.world.conversations[row].id.as_str());
        view.is_listed(row)
            && created.contains(execution.started_at)
            && status.is_none_or(|status| status == execution.status())
            && reason.is_none_or(|reason| waiting_reason(execution) == Some(reason))
            && conversation.is_none_or(|id| its_conversation() == Some(id))
    };
    let keys = &view.world.workflows[row].executions;
    let render = |row| view.execution_item_of_workflow(row);
    Ok(Answer::ok(List { name: "executions", keys, matches: &matches, render: &render }.page(window)))
}

/// `GET /workflow_executions/{id}`
pub fn execution(view: &View<'_>, id: &str) -> Outcome {
    let row = view.world.execution_row(id).filter(|&row| view.world.executions[row].api == Api::Platform);
    let late = hash(&[id, "late"]).is_multiple_of(4);
    let least = if late { FRESH } else { SignedDuration::ZERO };
    let readable = |row: &Row| view.at().duration_since(view.world.executions[*row].started_at) >= least;
    let row = row.filter(readable).ok_or_else(|| not_found("Workflow execution not found"))?;
    Ok(Answer::ok(json!({"data": view.execution_detail(row)})))
}

/// `GET /whatsapp/phone_numbers`
pub fn phone_numbers(params: &Params) -> Outcome {
    let Window::Numbered { page, size } = numbered_window(params)? else {
        return Err(not_found("Not found"));
    };
    let shown = PHONE_NUMBER_IDS.iter().skip((page - 1).saturating_mul(size)).take(size);
    let data: Vec<Value> =
        shown.map(|id| json!({"id": id, "phone_number_id": id, "status": "CONNECTED"})).collect();
    Ok(Answer::ok(json!({"data": data, "meta": meta(page, size, PHONE_NUMBER_IDS.len())})))
}

fn not_found(message: &str) -> Answer {
    Answer::error(StatusCode::NOT_FOUND, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::simulator::{
        Fault, Faults, Scenario, Simulator,
        testing::{escaped, get, noon, simulator},
    };

    const CONVERSATIONS: &str = "/platform/v1/whatsapp/conversations";

    fn busy(count: i64) -> (Simulator, String) {
        let simulator = simulator(Scenario::quiet(1));
        let conversation = simulator.conversation_ids(Api::Platform).remove(0);
        for hour in 1..=count {
            let at = noon() - SignedDuration::from_hours(hour);
            simulator.start_at(Api::Platform, "flow_1", Some(&conversation), at).unwrap();
        }
        (simulator, conversation)
    }

    #[tokio::test(start_paused = true)]
    async fn paging_yields_every_execution_once_while_new_ones_start() {
        let (simulator, conversation) = busy(45);
        let before: BTreeSet<String> = simulator.execution_ids(Api::Platform).into_iter().collect();
        for path in [
            format!("{CONVERSATIONS}/{conversation}/flow_executions?limit=10"),
            "/platform/v1/workflows/flow_1/executions?limit=10".to_owned(),
        ] {
            let mut seen = Vec::new();
            let mut after = String::new();
            loop {
                let page = get(&simulator, &format!("{path}&after={after}")).await;
                seen.extend(page.ids());
                simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
                let Some(next) = page.next() else { break };
                after = next;
            }
            let unique: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!(unique.len(), seen.len());
            assert!(unique.is_superset(&before));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_page_has_no_next_but_still_a_cursor() {
        let (simulator, _) = busy(30);
        let path = "/platform/v1/workflows/flow_1/executions?limit=20";
        let first = get(&simulator, path).await;
        assert_eq!(first.body["paging"]["next"], first.body["paging"]["cursors"]["after"]);
        assert_eq!(first.body["paging"]["previous"], Value::Null);
        let last = get(&simulator, &format!("{path}&after={}", first.next().unwrap())).await;
        assert_eq!((last.ids().len(), last.next()), (10, None));
        assert!(last.body["paging"]["cursors"]["after"].is_string());
        let previous = escaped(last.body["paging"]["previous"].as_str().unwrap());
        let back = get(&simulator, &format!("{path}&before={previous}")).await;
        assert_eq!(back.ids(), first.ids());
        assert_eq!(back.body["paging"]["previous"], Value::Null);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_without_a_limit_is_numbered_and_says_so() {
        let (simulator, _) = busy(45);
        let path = "/platform/v1/workflows/flow_1/executions";
        let page = get(&simulator, &format!("{path}?page=3")).await;
        assert_eq!(
            page.body["meta"],
            json!({"page": 3, "per_page": 20, "total_pages": 3, "total_count": 45})
        );
        assert_eq!((page.ids().len(), page.body.get("paging")), (5, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_capped_at_a_hundred() {
        let (simulator, _) = busy(120);
        let page = get(&simulator, "/platform/v1/workflows/flow_1/executions?limit=1000").await;
        assert_eq!(page.ids().len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_cut_short_leads_on_to_the_rest() {
        let (simulator, _) = busy(45);
        let path = "/platform/v1/workflows/flow_1/executions?limit=100";
        let all = get(&simulator, path).await.ids();
        simulator.set_faults(Faults { one_in: 1, kinds: vec![Fault::ShortPage] });
        let short = get(&simulator, path).await;
        assert!((1..=5).contains(&short.ids().len()));
        assert_eq!(get(&simulator, "/platform/v1/workflows").await.status / 100, 5);
        simulator.set_faults(Faults::default());
        let rest = get(&simulator, &format!("{path}&after={}", short.next().unwrap())).await;
        assert_eq!([short.ids(), rest.ids()].concat(), all);
    }

    #[tokio::test(start_paused = true)]
    async fn no_page_of_either_api_is_larger_than_the_scenario_allows() {
        let scenario = Scenario { conversations: 10, largest_page: 7, ..Scenario::quiet(1) };
        let simulator = simulator(scenario);
        let page = get(&simulator, &format!("{CONVERSATIONS}?limit=100")).await;
        assert_eq!((page.ids().len(), page.next().is_some()), (7, true));
        let page = get(&simulator, "/api/v1/whatsapp_conversations?per_page=100").await;
        let meta = json!({"page": 1, "per_page": 7, "total_pages": 2, "total_count": 10});
        assert_eq!((page.ids().len(), &page.body["meta"]), (7, &meta));
    }

    #[tokio::test(start_paused = true)]
    async fn executions_become_visible_late_and_not_in_the_order_of_their_starts() {
        let visible_after = Duration::from_secs(5)..Duration::from_secs(20);
        let simulator = simulator(Scenario { visible_after, ..Scenario::quiet(1) });
        let path = "/platform/v1/workflows/flow_1/executions?limit=100";
        let mut all: Vec<String> =
            (0..9).map(|_| simulator.start(Api::Platform, "flow_1", None).unwrap()).collect();
        all.reverse();
        let mut visible = Vec::new();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            visible.push(get(&simulator, path).await.ids());
        }
        assert!(visible[..4].iter().all(Vec::is_empty));
        assert!(visible.windows(2).all(|pair| pair[0].iter().all(|id| pair[1].contains(id))));
        assert!(visible.iter().any(|ids| !all.ends_with(ids)), "a younger one before an older one");
        assert_eq!(visible[19], all);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invalid_cursor_answers_400() {
        let simulator = simulator(Scenario::quiet(1));
        for query in ["limit=10&after=nonsense", "limit=10&before=MTIz", "limit=0", "status=started&limit=10"]
        {
            let page = get(&simulator, &format!("/platform/v1/workflows/flow_1/executions?{query}")).await;
            assert_eq!(page.status, 400, "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_conversation_that_was_active_last_comes_first_even_between_pages() {
        let simulator = simulator(Scenario { conversations: 5, ..Scenario::quiet(1) });
        let order = get(&simulator, &format!("{CONVERSATIONS}?limit=100")).await.ids();
        let first = get(&simulator, &format!("{CONVERSATIONS}?limit=3")).await;
        simulator.message(Api::Platform, &order[3]).unwrap();
        let second =
            get(&simulator, &format!("{CONVERSATIONS}?limit=3&after={}", first.next().unwrap())).await;
        assert_eq!(second.ids(), order[4..]);
        let order_now = get(&simulator, &format!("{CONVERSATIONS}?limit=100")).await.ids();
        assert_eq!(order_now[0], order[3]);
    }

    #[tokio::test(start_paused = true)]
    async fn filters_narrow_the_lists() {
        let (simulator, conversation) = busy(4);
        let executions = simulator.execution_ids(Api::Platform);
        simulator.transition(&executions[2], "failed").unwrap();
        simulator.end_conversation(Api::Platform, &conversation).unwrap();
        let workflow = "/platform/v1/workflows/flow_1/executions?limit=100";
        for (path, expected) in [
            (format!("{workflow}&status=failed"), 1),
            (format!("{workflow}&created_after=2026-11-02T10:00:00Z"), 2),
            (format!("{workflow}&created_before=2026-11-02T09:00:00Z&status=running"), 1),
            (format!("{workflow}&whatsapp_conversation_id={conversation}"), 4),
            (format!("{CONVERSATIONS}?limit=100&status=ended"), 2),
            (format!("{CONVERSATIONS}?limit=100&last_active_after=2026-11-02T11:00:00Z"), 1),
            (format!("{CONVERSATIONS}?limit=100&phone_number=15550000001"), 1),
            ("/platform/v1/workflows?name_contains=order".to_owned(), 1),
            ("/platform/v1/whatsapp/phone_numbers?per_page=1".to_owned(), 1),
        ] {
            assert_eq!(get(&simulator, &path).await.ids().len(), expected, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_deleted_answers_404_and_leaves_the_lists() {
        let (simulator, conversation) = busy(4);
        let workflow = "/platform/v1/workflows/flow_1/executions?limit=100";
        simulator.delete_conversation(Api::Platform, &conversation).unwrap();
        assert_eq!(get(&simulator, workflow).await.ids().len(), 0);
        let gone =
            get(&simulator, &format!("{CONVERSATIONS}/{conversation}/flow_executions?limit=100")).await;
        assert_eq!((gone.status, gone.body), (404, json!({"error": "Conversation not found"})));
        simulator.delete_workflow("flow_1").unwrap();
        assert_eq!(get(&simulator, workflow).await.status, 404);
        assert_eq!(get(&simulator, "/platform/v1/workflows").await.ids(), ["flow_2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_alters_the_item_as_listed() {
        let (simulator, _) = busy(1);
        let id = simulator.execution_ids(Api::Platform).remove(0);
        simulator.edit(&id, |item| item["workflow"] = Value::Null).unwrap();
        let page = get(&simulator, "/platform/v1/workflows/flow_1/executions?limit=100").await;
        assert_eq!(page.body["data"][0]["workflow"], Value::Null);
        assert_eq!(page.ids(), [id]);
    }

    #[tokio::test(start_paused = true)]
    async fn personal_data_and_message_texts_are_recognisable() {
        let (simulator, _) = busy(1);
        let id = simulator.execution_ids(Api::Platform).remove(0);
        let detail = get(&simulator, &format!("/platform/v1/workflow_executions/{id}")).await;
        let text = detail.body.to_string();
        assert!(text.contains("+1555") && text.contains("Zebulon") && text.contains("marzipan"));
        let list = get(&simulator, &format!("{CONVERSATIONS}?limit=100")).await.body.to_string();
        assert!(list.contains("+1555") && list.contains("Zebulon"));
    }
}
