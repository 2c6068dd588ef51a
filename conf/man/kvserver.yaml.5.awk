# Makes kvserver.yaml(5) of the tables in core/web/docs, so that the page has the keys that there are:
#   awk -v date='November 29, 2026' -f kvserver.yaml.5.awk configuration.md access.md
BEGIN {
    print ".Dd " date
    print ".Dt KVSERVER.YAML 5"
    print ".Os"
    print ".Sh NAME"
    print ".Nm kvserver.yaml"
    print ".Nd configuration of kvserver"
    print ".Sh DESCRIPTION"
    print ".Xr kvserver 8"
    print "reads a YAML file that it is given by"
    print ".Fl c ."
    print "Every key is optional."
    print ".Sq ${VAR}"
    print "and"
    print ".Sq ${VAR:-default}"
    print "take the environment."
    print "Durations need a unit"
    print ".Pq 30s , 1h 5m ,"
    print "sizes may have one"
    print ".Pq 64MiB , 10kB ."
    print "Relative paths are resolved against the folder of the file."
    print ".Bd -literal"
    print "listen: [{host: 127.0.0.1, port: 3000}]"
    print "storage: {module: rocksdb, rocksdb: {path: /var/lib/kvserver/data}}"
    print "limits: {value: 1MiB}"
    print ".Ed"
}

# The text without marks and links.
function plain(text) {
    gsub(/\\\|/, "|", text)
    gsub(/\\/, "\\e", text)
    while (match(text, /\[[^][]*\]\([^)]*\)/)) {
        link = substr(text, RSTART, RLENGTH)
        after = substr(text, RSTART + RLENGTH)
        text = substr(text, 1, RSTART - 1)
        sub(/^\[/, "", link)
        sub(/\]\(.*$/, "", link)
        text = text link after
    }
    gsub(/`/, "", text)
    return text
}

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# Each sentence on a line of its own; none begins with what would be a request.
function put(text) {
    gsub(/\. /, ".\n", text)
    gsub(/\n[.\047]/, "\\\\\\&&", text)
    sub(/^[.\047]/, "\\\\\\&&", text)
    print text
}

function end_list() {
    if (in_list) print ".El"
    in_list = 0
}

/^#+ / {
    end_list()
    heading = $0
    sub(/^#+ /, "", heading)
}

/^\| `/ && (heading == "Keys" || heading == "Rights" || heading == "JSON Web Tokens") {
    row = substr($0, 2, length($0) - 2)
    gsub(/\\\|/, "\001", row)
    split(row, cells, /\|/)
    for (i = 1; i <= 3; i++) {
        gsub(/\001/, "|", cells[i])
        cells[i] = trim(plain(cells[i]))
    }
    if (!in_list) {
        title = heading == "JSON Web Tokens" ? "Entries of access.jwt" : heading == "Rights" ? "Access" : heading
        print ".Ss " title
        print ".Bl -tag -width Ds"
        in_list = 1
    }
    print ".It Sy " cells[1]
    put(cells[3] ".")
    if (cells[2] != "") put("Default: " cells[2] ".")
}

END {
    end_list()
    print ".Sh FILES"
    print ".Bl -tag -width Ds"
    print ".It Pa /etc/kvserver/kvserver.yaml"
    print "The configuration of the service."
    print ".It Pa /usr/share/kvserver/conf"
    print "An annotated configuration, and one that uses nearly every feature."
    print ".It Pa /usr/share/doc/kvserver/docs"
    print "The documentation, which describes all of this at length."
    print ".El"
    print ".Sh SEE ALSO"
    print ".Xr kvctl 1 ,"
    print ".Xr kvserver 8"
}
