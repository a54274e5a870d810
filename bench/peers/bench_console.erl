%% Works off what the other end of standard input asks for, so that a test or benchmark in another language can drive this
%% node: a line `{Id, Module, Function, Arguments}.` is answered by a line `Id JSON` once the function has returned, or by
%% `Id {"error": ...}`. Each request runs in a process of its own, so one can go on while others come and go. The node
%% ends when its standard input does. Results are numbers, atoms, binaries and lists of these.
-module(bench_console).
-export([main/0, verify/3]).

main() ->
    process_flag(priority, high),
    io:format("0 true~n"),
    loop().

loop() ->
    case io:read('') of
        {ok, {Id, Module, Function, Arguments}} ->
            spawn_opt(fun() -> answer(Id, Module, Function, Arguments) end, [{priority, normal}]),
            loop();
        eof ->
            erlang:halt(0, [{flush, false}]);
        Unreadable ->
            io:format(standard_error, "~p~n", [Unreadable]),
            erlang:halt(1)
    end.

answer(Id, Module, Function, Arguments) ->
    Result =
        try
            json(apply(Module, Function, Arguments))
        catch
            Class:Reason:Stack ->
                ["{\"error\":", text(io_lib:format("~0p", [{Class, Reason, Stack}])), "}"]
        end,
    io:format("~w ~ts~n", [Id, Result]).

json(Number) when is_number(Number) -> io_lib:format("~w", [Number]);
json(true) -> "true";
json(false) -> "false";
json(Atom) when is_atom(Atom) -> text(atom_to_list(Atom));
json(Binary) when is_binary(Binary) -> text(binary_to_list(Binary));
json(List) when is_list(List) -> ["[", lists:join(",", [json(Item) || Item <- List]), "]"].

text(Characters) -> [$", [escaped(Character) || Character <- lists:flatten(Characters)], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped(Character) when Character < 32 -> $\s;
escaped(Character) -> Character.

%% The peer's certificate is self-signed and must be the very one we were told (base64 of its DER).
verify(Certificate, {bad_cert, selfsigned_peer}, Pinned) ->
    case base64:encode(public_key:pkix_encode('OTPCertificate', Certificate, otp)) of
        Pinned -> {valid, Pinned};
        _ -> {fail, another_certificate}
    end;
verify(_, {bad_cert, Reason}, _) -> {fail, Reason};
verify(_, {extension, _}, Pinned) -> {unknown, Pinned};
verify(_, _, Pinned) -> {valid, Pinned}.
