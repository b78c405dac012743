BEGIN TRANSACTION;
CREATE TABLE deadlines (
        run INTEGER NOT NULL, event_id INTEGER NOT NULL, at INTEGER NOT NULL, rank INTEGER NOT NULL,
        PRIMARY KEY (run, event_id)
    ) WITHOUT ROWID
    ;
INSERT INTO "deadlines" VALUES(3,6,1793491270000,2);
INSERT INTO "deadlines" VALUES(3,5,1793491300000,2);
INSERT INTO "deadlines" VALUES(1,0,1801267200000,9);
INSERT INTO "deadlines" VALUES(2,6,1824491210000,2);
INSERT INTO "deadlines" VALUES(2,1,1825027200000,0);
INSERT INTO "deadlines" VALUES(3,1,1825027210000,0);
CREATE TABLE domains (
        name TEXT PRIMARY KEY, retention TEXT, description TEXT, is_deprecated INTEGER NOT NULL,
        tags TEXT NOT NULL, open_runs INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    ;
INSERT INTO "domains" VALUES('floto','90',NULL,0,'{}',2);
CREATE TABLE events (
        run INTEGER NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL,
        attributes TEXT NOT NULL,
        PRIMARY KEY (run, id)
    ) WITHOUT ROWID
    ;
INSERT INTO "events" VALUES(1,1,1793491200000,'WorkflowExecutionStarted','{"childPolicy":"TERMINATE","taskList":{"name":"floto"},"workflowType":{"name":"work","version":"1"},"executionStartToCloseTimeout":"31536000","taskStartToCloseTimeout":"60","tagList":["old","tag"],"parentInitiatedEventId":0}');
INSERT INTO "events" VALUES(1,2,1793491200000,'DecisionTaskScheduled','{"taskList":{"name":"floto"},"startToCloseTimeout":"60","scheduleToStartTimeout":"NONE"}');
INSERT INTO "events" VALUES(1,3,1793491200000,'DecisionTaskStarted','{"scheduledEventId":2,"identity":"decider"}');
INSERT INTO "events" VALUES(1,4,1793491200000,'DecisionTaskCompleted','{"scheduledEventId":2,"startedEventId":3}');
INSERT INTO "events" VALUES(1,5,1793491200000,'WorkflowExecutionCompleted','{"decisionTaskCompletedEventId":4,"result":"1"}');
INSERT INTO "events" VALUES(2,1,1793491200000,'WorkflowExecutionStarted','{"childPolicy":"TERMINATE","taskList":{"name":"floto"},"workflowType":{"name":"work","version":"1"},"executionStartToCloseTimeout":"31536000","taskStartToCloseTimeout":"60","tagList":["open"],"parentInitiatedEventId":0}');
INSERT INTO "events" VALUES(2,2,1793491200000,'DecisionTaskScheduled','{"taskList":{"name":"floto"},"startToCloseTimeout":"60","scheduleToStartTimeout":"NONE"}');
INSERT INTO "events" VALUES(2,3,1793491210000,'DecisionTaskStarted','{"scheduledEventId":2,"identity":"decider"}');
INSERT INTO "events" VALUES(2,4,1793491210000,'DecisionTaskCompleted','{"scheduledEventId":2,"startedEventId":3}');
INSERT INTO "events" VALUES(2,5,1793491210000,'ActivityTaskScheduled','{"activityType":{"name":"act","version":"1"},"activityId":"a","taskList":{"name":"floto"},"decisionTaskCompletedEventId":4,"scheduleToStartTimeout":"NONE","scheduleToCloseTimeout":"NONE","startToCloseTimeout":"NONE","heartbeatTimeout":"NONE"}');
INSERT INTO "events" VALUES(2,6,1793491210000,'TimerStarted','{"timerId":"t","startToFireTimeout":"31000000","decisionTaskCompletedEventId":4}');
INSERT INTO "events" VALUES(3,1,1793491210000,'WorkflowExecutionStarted','{"childPolicy":"TERMINATE","taskList":{"name":"floto"},"workflowType":{"name":"work","version":"1"},"executionStartToCloseTimeout":"31536000","taskStartToCloseTimeout":"60","tagList":["open","due"],"parentInitiatedEventId":0}');
INSERT INTO "events" VALUES(3,2,1793491210000,'DecisionTaskScheduled','{"taskList":{"name":"floto"},"startToCloseTimeout":"60","scheduleToStartTimeout":"NONE"}');
INSERT INTO "events" VALUES(3,3,1793491210000,'DecisionTaskStarted','{"scheduledEventId":2,"identity":"decider"}');
INSERT INTO "events" VALUES(3,4,1793491210000,'DecisionTaskCompleted','{"scheduledEventId":2,"startedEventId":3}');
INSERT INTO "events" VALUES(3,5,1793491210000,'ActivityTaskScheduled','{"activityType":{"name":"act","version":"1"},"activityId":"beats","taskList":{"name":"beats"},"decisionTaskCompletedEventId":4,"scheduleToStartTimeout":"NONE","scheduleToCloseTimeout":"NONE","startToCloseTimeout":"NONE","heartbeatTimeout":"60"}');
INSERT INTO "events" VALUES(3,6,1793491210000,'TimerStarted','{"timerId":"soon","startToFireTimeout":"60","decisionTaskCompletedEventId":4}');
INSERT INTO "events" VALUES(3,7,1793491210000,'ActivityTaskStarted','{"scheduledEventId":5,"identity":"worker"}');
CREATE TABLE heartbeats (
        run INTEGER NOT NULL, event_id INTEGER NOT NULL, at INTEGER NOT NULL, details TEXT,
        PRIMARY KEY (run, event_id)
    ) WITHOUT ROWID
    ;
INSERT INTO "heartbeats" VALUES(3,5,1793491240000,'"half"');
CREATE TABLE run_tags (
        run INTEGER NOT NULL, tag TEXT NOT NULL, domain TEXT NOT NULL, started_at INTEGER NOT NULL,
        closed_at INTEGER, PRIMARY KEY (run, tag)
    ) WITHOUT ROWID
    ;
INSERT INTO "run_tags" VALUES(1,'old','floto',1793491200000,1793491200000);
INSERT INTO "run_tags" VALUES(1,'tag','floto',1793491200000,1793491200000);
INSERT INTO "run_tags" VALUES(2,'open','floto',1793491200000,NULL);
INSERT INTO "run_tags" VALUES(3,'due','floto',1793491210000,NULL);
INSERT INTO "run_tags" VALUES(3,'open','floto',1793491210000,NULL);
CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, domain TEXT NOT NULL,
        workflow_id TEXT NOT NULL, type_name TEXT NOT NULL, type_version TEXT NOT NULL,
        started_at INTEGER NOT NULL, closed_at INTEGER, close_status TEXT,
        parent_workflow_id TEXT, parent_run_id TEXT, tags TEXT NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0, execution_context TEXT, activity_at INTEGER,
        revision INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "runs" VALUES(1,'22hB-2e_zt8EheWDiLZHOacR5LT482yNgSYOnMWWyq_Ec=','floto','closed','work','1',1793491200000,1793491200000,'COMPLETED',NULL,NULL,'["old", "tag"]',0,NULL,NULL,3);
INSERT INTO "runs" VALUES(2,'225lzl2pUXsU0QJ9z4SQWNnRz6d5KUgP2JiQkRphfZT3Q=','floto','open','work','1',1793491200000,NULL,NULL,NULL,NULL,'["open"]',0,NULL,1793491210000,3);
INSERT INTO "runs" VALUES(3,'22B3eEfkNq5GZu-AdT0T6SB2U2svhXpyZd2hEZyXzcJLg=','floto','due','work','1',1793491210000,NULL,NULL,NULL,NULL,'["open", "due"]',0,NULL,1793491210000,5);
CREATE TABLE tasks (
        arrival INTEGER PRIMARY KEY, run INTEGER NOT NULL, event_id INTEGER NOT NULL,
        domain TEXT NOT NULL, kind TEXT NOT NULL, task_list TEXT NOT NULL, priority INTEGER NOT NULL,
        started INTEGER NOT NULL, lease TEXT, releases INTEGER NOT NULL DEFAULT 0,
        UNIQUE (run, event_id)
    );
INSERT INTO "tasks" VALUES(1,2,5,'floto','activity','floto',0,0,NULL,0);
INSERT INTO "tasks" VALUES(2,3,5,'floto','activity','beats',0,7,'3f1cfdcbf30143afb29984b6fa7ec7dc',0);
CREATE TABLE types (
        domain TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        defaults TEXT NOT NULL, description TEXT, created_at INTEGER NOT NULL, deprecated_at INTEGER,
        PRIMARY KEY (domain, kind, name, version)
    ) WITHOUT ROWID
    ;
INSERT INTO "types" VALUES('floto','ActivityType','act','1','{"taskList":{"name":"floto"},"scheduleToStartTimeout":"NONE","scheduleToCloseTimeout":"NONE","startToCloseTimeout":"NONE","heartbeatTimeout":"NONE"}',NULL,1793491210000,NULL);
INSERT INTO "types" VALUES('floto','WorkflowType','work','1','{"taskList":{"name":"floto"},"executionStartToCloseTimeout":"31536000","taskStartToCloseTimeout":"60","childPolicy":"TERMINATE"}',NULL,1793491200000,NULL);
CREATE UNIQUE INDEX open_runs ON runs (domain, workflow_id) WHERE closed_at IS NULL;
CREATE INDEX runs_by_workflow ON runs (domain, workflow_id, number);
CREATE INDEX open_children ON runs (parent_run_id, number)
    WHERE closed_at IS NULL AND parent_run_id IS NOT NULL
    ;
CREATE INDEX pollable ON tasks (domain, kind, task_list, priority DESC, arrival)
    WHERE lease IS NULL
    ;
CREATE INDEX held ON tasks (lease) WHERE lease IS NOT NULL;
CREATE INDEX next_deadline ON deadlines (at, rank, run, event_id);
CREATE INDEX open_by_start ON runs (domain, started_at, number, closed_at) WHERE closed_at IS NULL;
CREATE INDEX open_by_type_start ON runs (domain, type_name, started_at, number, type_version, closed_at) WHERE closed_at IS NULL;
CREATE INDEX open_by_tag_start ON run_tags (domain, tag, started_at, run, closed_at) WHERE closed_at IS NULL;
CREATE INDEX closed_by_start ON runs (domain, started_at, number, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_close ON runs (domain, closed_at, number) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_workflow_start ON runs (domain, workflow_id, started_at, number, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_workflow_close ON runs (domain, workflow_id, closed_at, number) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_type_start ON runs (domain, type_name, started_at, number, type_version, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_type_close ON runs (domain, type_name, closed_at, number, type_version) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_tag_start ON run_tags (domain, tag, started_at, run, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_tag_close ON run_tags (domain, tag, closed_at, run) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_status_start ON runs (domain, close_status, started_at, number, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closed_by_status_close ON runs (domain, close_status, closed_at, number) WHERE closed_at IS NOT NULL;
COMMIT;
PRAGMA application_id = 1718382452;
PRAGMA user_version = 4;
