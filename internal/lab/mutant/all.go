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
	abandonedVoid,
	blindSettle,
	unfencedReschedule,
	claimForEver,
	ownClock,
	definiteCommit,
	splitTransaction,
	prunedKey,
	frozenTransaction,
	misconfiguredIsPoison,
	anyPaymentd,
	trustedPayload,
	forgottenCompletion,
	cancelledCommit,
}
