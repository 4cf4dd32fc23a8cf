package mutant

// All lists the mutants, by the rule that they break. Rule 12, that a claim is worth its experiment, is what they are
// for.
var All = []Mutant{
	errorIsEvidence,
	cancelOnError,
	directCancel,
	noTombstone,
	unstickyDecline,
	validationBeforeLookup,
	noIdempotency,
	anotherAmount,
	trustedPayload,
	abandonedVoid,
	forgottenCompletion,
	blindSettle,
	unfencedReschedule,
	claimForEver,
	ownClock,
	definiteCommit,
	cancelledCommit,
	splitTransaction,
	earlyAcknowledgement,
	neighboursFailure,
	prunedKey,
	frozenTransaction,
	droppedLateReply,
	hangingGoesAlone,
	misconfiguredIsPoison,
	anyPaymentd,
}
