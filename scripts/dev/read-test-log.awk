# Reads the output of ctest, and then its LastTest.log; prints one line for each fact:
#   passed|failed|skipped <n>   single tests: of a cmocka program, or another program as a whole
#   failure <program>[: <single tests>]
#   skip <program>[: <single tests>]
#   time <seconds> <program>
FNR == 1 { n_files++ }

# " 51/135 Test  #97: <program> ....   Passed    0.19 sec": the result of the program.
n_files == 1 && /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    sub(/^[^:]*: /, "")
    is_passed[$1] = / Passed /
    is_skipped[$1] = /\*\*\*Skipped/
}
n_files == 1 { next }

/^[0-9]+\/[0-9]+ Testing: / {
    program = $3
    n_ok = n_bad = n_skipped = is_listing = 0
    bad = left_out = ""
}

# After its tests, cmocka lists the failed and the skipped ones again.
/^\[==========\] Running / { is_listing = 0 }
/^\[==========\] .* run\.$/ { is_listing = 1 }
/^\[       OK \] / { n_ok++ }
/^\[  FAILED  \] / && !is_listing { n_bad++; bad = bad " " $4 }
/^\[  SKIPPED \] / && !is_listing { n_skipped++; left_out = left_out " " $4 }

/^Test time = / { print "time", $4, program }

/^".*" end time: / {
    if (is_skipped[program])
        n_skipped++
    else if (is_passed[program] && n_ok + n_skipped == 0)
        n_ok = 1
    else if (!is_passed[program] && n_bad == 0)
        n_bad = 1 # it died, was stopped, or could not be run
    if (!is_passed[program] && !is_skipped[program])
        print "failure", program (bad == "" ? "" : ":" bad)
    if (left_out != "" || is_skipped[program])
        print "skip", program (left_out == "" ? "" : ":" left_out)
    passed += n_ok
    failed += n_bad
    skipped += n_skipped
}

END {
    print "passed", passed + 0
    print "failed", failed + 0
    print "skipped", skipped + 0
}
