package probe

import "time"

// probes are the probes in the order of a run. The first one calls every function,
// before any other call starts them. The load comes last: it may use up the throttle.
var probes = []probe{
	{
		name:     "cold-start",
		question: "How much longer does the first call of each function take than the second? The first is a cold start where nothing has called the function for some minutes.",
		assumed:  "at most 500 ms longer",
		messages: 30, invocations: 20, limit: time.Minute,
		find: findColdStart,
	},
	{
		name:     "ping",
		question: "Does a mock integration without a response send nothing to the client?",
		assumed:  "yes: a ping has no reply",
		messages: 1, invocations: 2, limit: time.Minute,
		find: findPing,
	},
	{
		name:     "lifecycle-route",
		question: `Which route has a frame with "method":"$connect"?`,
		assumed:  "$default, whose function replies",
		messages: 2, invocations: 3, limit: time.Minute,
		find: findLifecycleRoute,
	},
	{
		name:     "json-depth",
		question: "How deep may the JSON in a frame be?",
		assumed:  "15,000 levels, which is all that a frame holds",
		messages: 12, invocations: 18, limit: 2 * time.Minute,
		find: findDepth,
	},
	{
		name:     "fragments",
		question: "Are the limits 32,768 bytes for a frame and 131,072 for a message, both included?",
		assumed:  "yes; a larger frame or message closes with 1009",
		messages: 20, invocations: 12, limit: 2 * time.Minute,
		find: findFragments,
	},
	{
		name:     "reply-size",
		question: "How large may the reply of a function be?",
		assumed:  "at least 128 KB",
		messages: 60, invocations: 30, limit: 2 * time.Minute,
		find: findReplySize,
	},
	{
		name:     "failure-reply",
		question: "What does a client get from a route with a route response whose function returns status 500?",
		assumed:  "the body, as with status 200",
		messages: 2, invocations: 1, limit: time.Minute,
		find: findFailure,
	},
	{
		name:     "frame-order",
		question: "Are two frames of one client replied to in their order?",
		assumed:  "no order is assumed",
		messages: 200, invocations: 102, limit: 2 * time.Minute,
		find: findFrameOrder,
	},
	{
		name:     "gone",
		question: "What does a post get for a connection that does not exist, and for a malformed id?",
		assumed:  "410 (the service also accepts a 400 that names an invalid id)",
		messages: 20, invocations: 4, limit: time.Minute,
		find: findGone,
	},
	{
		name:     "post-order",
		question: "Do two posts arrive in order, if the second begins after the first was accepted?",
		assumed:  "yes",
		messages: 110, invocations: 4, limit: 2 * time.Minute,
		find: findPostOrder,
	},
	{
		name:     "deployment",
		question: "Does a connection live through a deployment?",
		assumed:  "yes, and each command is replied to",
		messages: 1000, invocations: 500, limit: 15 * time.Minute,
		find: findDeployment,
	},
	{
		name:     "post-latency",
		question: "How long does a post take at concurrency 1, 64 and 256, from this machine?",
		assumed:  "20 ms in the median at 64, in the region",
		messages: 3000, invocations: 64, limit: 2 * time.Minute,
		find: findPostLatency,
	},
	{
		name:     "post-throttle",
		question: "Does the throttle of the stage (2,000 a second, burst 1,000) cover posts to connections?",
		assumed:  "no: only the quota of the account does",
		messages: loadMessages + 100, invocations: 64, limit: time.Minute,
		find: findPostThrottle,
	},
	{
		name:     "frame-throttle",
		question: "What do frames over the throttle of the stage get, and is it counted for each route?",
		assumed:  "an error frame; other routes are not affected",
		messages: 2*loadMessages + 100, invocations: 33, limit: time.Minute,
		find: findFrameThrottle,
	},
}
