// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package catalogue

// Row is a fault that somebody has to think of.
type Row struct {
	// Number is the row's own, for good.
	Number int
	Fault  string
	// Tests try it besides the cases of this suite.
	Tests []Test
	// Open says why nothing tries it, or what of it nothing tries.
	Open string
}

// Test is a test that is there anyway: a function, or a part of a table by its name, in a package's tests.
type Test struct{ Package, Name string }

func in(pkg string, names ...string) (list []Test) {
	for _, name := range names {
		list = append(list, Test{pkg, name})
	}
	return list
}

func both(a, b []Test) []Test { return append(a, b...) }

// Rows are the whole catalogue.
func Rows() []Row {
	var all []Row
	for _, part := range [][]Row{ofTheProgram(), ofFiles(), ofServers(), ofEtcd(), ofObjects(), ofPeople(), ofHostility(), ofTheWayBack()} {
		all = append(all, part...)
	}
	return all
}

func ofTheProgram() []Row {
	return []Row{
		{1, "the plugin is killed before any write", in("test/e2e", "killAtEveryStep"), ""},
		{2, "… after the read key has reached some nodes", in("test/e2e", "abortHalfWay", "killInPush"), ""},
		{3, "… after all have it, before the promotion", in("test/e2e", "abort", "killAtEveryStep"), ""},
		{4, "… when some nodes have the write key", in("test/e2e", "killInPush"), ""},
		{5, "… in the middle of the migration", both(in("test/e2e", "killInMigration"), in("test/integration", "TestARunThatIsInterrupted")), ""},
		{6, "… before and in the pruning", in("pkg/plan", "TestNext_whatever_is_interrupted_everything_stays_readable_and_the_plan_ends"), ""},
		{7, "Ctrl-C, a signal, the end of the time", both(in("test/e2e", "interrupt", "timeOut"), in("pkg/migrate", "TestRun_cancelled")), ""},
		{8, "the operator's machine sleeps, or its network is gone", in("pkg/lock", "TestALostLockEndsTheWork"), ""},
		{9, "an agent's pod is evicted or runs out of memory", in("pkg/nodejob", "TestAskTellsWhenTheConnectionBreaks"), ""},
		{10, "an agent ends while it writes", in("pkg/agent", "TestInstall_killedAtAnyPoint", "TestInstall_killedBySignalAtAnyPoint", "TestGuard_killedAtAnyPoint"), ""},
		{11, "an image that can't be pulled", in("test/e2e", "an image that can't be pulled"), "another architecture's image"},
		{12, "a node that takes no pods", in("pkg/nodejob", "the pods never start"), ""},
		{13, "a node that is not ready", in("pkg/observe", "TestKnownAndUsableRefuseWhatIsNotKnown"), ""},
		{14, "a kubelet that is stopped", in("pkg/nodejob", "the pods are never made", "TestDrainSaysThatPodsStay"), ""},
		{15, "the conversation with an agent is cut or garbled", in("pkg/nodejob", "TestAskTellsWhenTheConnectionBreaks", "TestAskRefusesAnswersToSomethingElse"), ""},
		{16, "Jobs are removed before their time", nil, ""},
		{17, "Jobs, pods and files of an earlier run", both(in("pkg/nodejob", "TestSweepRemovesJobsOfOtherRunsAlone"), in("pkg/agent", "TestInstall_sweepsOurLeftoversAndNobodyElses")), ""},
		{18, "another node of the same name", nil, "nodes are told apart by their names, files by their digests"},
	}
}

func ofFiles() []Row {
	return []Row{
		{19, "a full disk", both(in("test/e2e", "fillDisk"), in("pkg/agent", "TestGuard_killedAtAnyPointAndTheDiskIsFullThen", "TestInstall_anySystemCallFails")), ""},
		{20, "a read-only file system", in("test/e2e", "unwritableManifest"), ""},
		{21, "a power cut between any two system calls", in("pkg/agent", "TestInstall_powerCutAtAnyPoint", "TestGuard_powerCutAtAnyPoint"), ""},
		{22, "an fsync that fails", in("pkg/agent", "TestInstall_anySystemCallFails", "TestGuard_anySystemCallFails"), ""},
		{23, "a file that is cut off, empty or no YAML", both(in("test/e2e", "refuseUnusableFiles"), in("pkg/agent", "TestInspect_fileThatCannotBeUsed")), ""},
		{24, "a file that is edited between plan and write", in("pkg/agent", "TestInstall_fileIsEditedWhileTheNewOneIsWritten"), ""},
		{25, "one node's file that differs", in("test/e2e", "files that differ by somebody's hand are refused"), ""},
		{26, "a path that is a symbolic link", in("pkg/agent", "a file that is a symbolic link now", "a symbolic link out of the folder => not followed"), ""},
		{27, "a mount of the single file", in("pkg/controlplane", "TestReadManifestFindsTheFileOnTheNode"), ""},
		{28, "a file with another mode or owner", in("pkg/agent", "TestInstall_alreadySoWithAnotherMode"), ""},
		{29, "a kube-apiserver that is not root's", in("pkg/agent", "TestEditManifest_refuses"), ""},
		{30, "SELinux", nil, "no machine with it to test on"},
		{31, "AppArmor, user namespaces", nil, "no machine with it to test on"},
		{32, "clocks that are wrong", in("pkg/lock", "TestALeaseIsNotJudgedByItsTimes"), ""},
		{33, "manifests that are not kubeadm's", in("pkg/staticpod", "TestRead_refuses", "TestEnable_and_Disable_hold_for_every_way_of_writing_a_manifest"), ""},
		{34, "kubeadm upgrade and join", in("test/e2e", "joinNode"), ""},
		{35, "somebody who writes the file again and again", nil, ""},
	}
}

func ofServers() []Row {
	return []Row{
		{36, "a kube-apiserver that refuses its file", in("test/e2e", "wordyEnd"), ""},
		{37, "a kube-apiserver that does not start any more", in("test/e2e", "brokenImage", "wordyEnd"), ""},
		{38, "a kubelet that is behind", in("pkg/rotate", "TestAManifestIsBeingEditedWhileAGuardIsAtWorkOrTheKubeletIsBehind"), ""},
		{39, "automatic reload is off", in("test/e2e", "refuseWithoutReload"), ""},
		{40, "a reload that takes its time", in("test/e2e", "stockReload", "timeOut"), ""},
		{41, "metrics that are missing or forbidden", in("pkg/reload", "TestAServerThatTellsNoHashProvesNothingOlderThanTheFile", "TestParseLeavesOutWhatProvesNothing"), ""},
		{42, "a kube-apiserver that is killed", in("test/integration", "TestMigrationUnderWritersWhileAKubeAPIServerDies", "TestAKubeAPIServerThatForbidsWhileItStarts"), ""},
		{43, "one that starts with an old file", in("pkg/reload", "TestAServerThatTellsAHashNeverProvesAnotherFile"), ""},
		{44, "429, with and without Retry-After", in("pkg/migrate", "TestRun_passingFault"), ""},
		{45, "500, 503, 504, connections that break", in("pkg/migrate", "TestRun_passingFault", "TestRun_outage"), ""},
		{46, "an answer that is lost after the write", in("pkg/lock", "TestAnswersThatAreLost"), ""},
		{47, "a continue token that expires", in("test/integration", "TestAContinueTokenThatExpires"), ""},
		{48, "a watch cache that is behind", in("test/integration", "TestMigrationUnderWritersWhileAKubeAPIServerDies"), ""},
		{49, "kube-apiservers of different versions", in("pkg/observe", "TestKnownAndUsableRefuseWhatIsNotKnown"), ""},
	}
}

func ofEtcd() []Row {
	return []Row{
		{50, "etcd without a leader", in("pkg/migrate", "etcd elects a leader => lasts longer than a few attempts"), ""},
		{51, "a scan of etcd that ends early", in("pkg/agent", "TestCount_tells_what_was_counted_when_etcd_ceased_to_answer"), ""},
		{52, "etcd at its quota", both(in("pkg/etcdspace", "TestAMigrationEndsAndNeverRaisesTheAlarm"), in("pkg/migrate", "etcd is out of space => the run ends at once")), ""},
		{53, "etcd that is slow", in("pkg/migrate", "TestRun_followsLatency"), ""},
		{54, "defragmentation", nil, "there is no command for it yet"},
		{55, "a member that lags", in("pkg/etcdwalk", "TestAMemberThatDiesIsFollowedByTheNextAtTheSameRevision", "TestAMemberOfAnotherEtcdIsNotBelieved"), ""},
		{56, "several etcds, another prefix", in("pkg/agent", "TestCount_asks_the_etcd_that_holds_the_resource"), ""},
		{57, "a snapshot that is damaged", in("pkg/snapshot", "TestDamage", "TestTheHash"), ""},
		{58, "a restored snapshot", in("pkg/migrate", "TestRun_baseline"), "there is no command for restoring yet"},
	}
}

func ofObjects() []Row {
	return []Row{
		{59, "an object that is changed meanwhile", in("test/integration", "TestMigrationUnderWriters"), ""},
		{60, "an object that is deleted meanwhile", in("test/integration", "TestMigrationUnderWriters", "TestAnApplyWithoutUIDResurrectsAndTheAuditLogTells"), ""},
		{61, "an object that is deleted and made again", in("test/integration", "TestMigrationUnderWriters"), ""},
		{62, "an object that is made meanwhile", in("test/integration", "TestMigrationUnderWriters"), ""},
		{63, "webhooks that deny, hang or change", in("test/integration", "TestAWebhookThatDeniesAndThenIsGone", "TestWebhooksThatCanariesFind", "TestAPolicyThatDenies"), ""},
		{64, "an object that is invalid today", in("test/integration", "TestAnObjectThatIsInvalidToday", "TestObjectsThatAreNotLikeOthers"), ""},
		{65, "a quota that is full", in("test/e2e", "refuseWithoutPods"), ""},
		{66, "a namespace that is being deleted", nil, ""},
		{67, "a value that nobody can decrypt", in("test/integration", "TestAValueThatCannotBeDecrypted"), ""},
		{68, "values of other providers, and what looks like one", in("pkg/stored", "TestReadOfWhatARealKubeAPIServerStored", "TestRead"), ""},
		{69, "a million objects, none, huge ones", in("pkg/migrate", "TestRun_memoryDoesNotGrowWithObjects"), ""},
		{70, "a resource that is taken away meanwhile", in("test/integration", "TestACustomResourceThatIsDeletedMeanwhile"), ""},
		{71, "aggregated APIs", in("test/integration", "TestAnAggregatedAPIIsNotMigrated"), ""},
	}
}

func ofPeople() []Row {
	return []Row{
		{72, "two operators at once", both(in("test/e2e", "refuseSecond"), in("pkg/agent", "TestInstall_ofTwoAtOnceOneWins")), ""},
		{73, "the holder of the lock dies", in("pkg/lock", "TestASilentHoldersLockIsTakenOverAfterItsDuration"), ""},
		{74, "somebody else migrates too", in("pkg/migrator", "TestSomebodyElsesMigrationIsMentioned"), ""},
		{75, "a control-plane node joins", in("test/e2e", "joinNode", "joinMidway"), ""},
		{76, "a control-plane node leaves", both(in("test/e2e", "leaveMidway"), in("pkg/controlplane", "TestDiscoverSaysWhereTheSourcesDisagree")), ""},
		{77, "a permission that is missing", both(in("test/e2e", "without permission"), in("test/scripts", "TestClusterRoleGrantsWhatTheProgramAsksFor")), ""},
		{78, "credentials that end", in("pkg/migrate", "unauthorized => repeated, for fresh credentials"), ""},
		{79, "Pod Security, policies", in("test/e2e", "pods that are not admitted"), ""},
		{80, "a network policy", in("pkg/nodejob", "TestTheJobAsksForNoMoreThanItNeeds"), "an agent that changes something needs no network"},
		{81, "a name of a key that was there before", both(in("pkg/keys", "TestNextName"), in("pkg/stored/open", "TestAWrongKeyOfAESCBCNeverOpensAnything")), ""},
		{82, "configurations that nobody expects", in("pkg/encconfig", "TestParse_refuses", "TestParse_takes", "FuzzParse"), ""},
		{83, "the way back to plaintext", both(in("test/e2e", "decrypt"), in("pkg/plan", "TestNext_whatever_is_turned_on_and_off_everything_stays_readable_and_the_plan_ends")), ""},
		{84, "nobody to answer a question", both(in("test/e2e", "without consent and without a terminal"), in("pkg/term", "TestConfirm_is_no_where_input_or_output_fail")), ""},
		{85, "records of a newer version", in("pkg/ledger", "TestStoreTouchesNoRecordThatItDoesNotUnderstand"), ""},
	}
}

func ofHostility() []Row {
	return []Row{
		{86, "a path with .., a device, a pipe", in("pkg/agent", "TestNew_refusesNamesThatAreNone", "TestInspect_fileThatCannotBeUsed"), ""},
		{87, "a symbolic link that is swapped", in("pkg/agent", "TestInspect_fileThatCannotBeUsed"), "a race"},
		{88, "names and paths that mean something to a shell", in("pkg/verify", "TestHostileNamesCanBePrinted"), ""},
		{89, "files without end", in("pkg/agent", "TestInspect_fileThatCannotBeUsed", "a revision that is too large"), ""},
		{90, "what agents, logs and metrics may say", both(in("pkg/nodejob", "TestAskRefusesAnswersToSomethingElse", "a line that never ends"),
			both(in("pkg/printer", "TestPrinters_never_pass_on_what_takes_over_a_terminal"), in("pkg/term", "TestEscape", "FuzzEscape"))), ""},
		{91, "an agent that lies", in("pkg/nodejob", "TestAskRefusesAnswersToSomethingElse"), "one that lies about more than an installation: whoever is root on a control-plane node can"},
		{92, "somebody in the middle", in("pkg/seal", "TestOpen_opensExactlyWhatWasSealed"), ""},
		{93, "an image that is not ours", in("pkg/nodejob", "TestCheckImage", "another image runs"), ""},
		{94, "keys in texts of errors", in("pkg/encconfig", "TestParse_errors_never_quote_a_key", "TestParse_errors_never_quote_a_key_of_a_damaged_file"), ""},
	}
}

func ofTheWayBack() []Row {
	return []Row{
		{95, "a rollback that is interrupted", both(in("test/e2e", "rollBack"), in("pkg/plan", "TestNext_whatever_is_interrupted_everything_stays_readable_and_the_plan_ends")), ""},
		{96, "a key that is taken out by command, interrupted", in("test/e2e", "pruneOne"), ""},
		{97, "a repair that is interrupted, from nodes that all differ", both(in("test/e2e", "repairDiffering", "repairDown", "restoreOffline"), in("pkg/agreement", "TestNothingBecomesUnreadable")), ""},
	}
}
