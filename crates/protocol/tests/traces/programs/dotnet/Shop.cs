// What can go wrong between a cart and its payment, and the trace of each with what the live exception says: shop.exe FOLDER PREFIX SCENARIO...
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;

namespace Shop
{
    public class PaymentDeclined : Exception
    {
        public PaymentDeclined(string message, Exception inner = null) : base(message, inner) { }
    }

    public class CheckoutError : Exception
    {
        public CheckoutError(string message, Exception inner = null) : base(message, inner) { }
    }

    public class Cart
    {
        public class Empty : Exception
        {
            public Empty() : base("") { }
        }

        private readonly int card;

        public Cart(int card)
        {
            if (card < 0) throw new ArgumentOutOfRangeException("card");
            this.card = card;
        }

        public void Charge(decimal amount, string note)
        {
            throw new PaymentDeclined("card " + card + " declined by issuer (code 51)");
        }

        public void Checkout(ref int tries, List<string> notes)
        {
            Charge(47.11m, notes[0]);
        }

        public async Task ChargeLater()
        {
            await Task.Delay(1);
            Charge(1m, null);
        }

        public async Task CheckoutLater()
        {
            try
            {
                await ChargeLater();
            }
            catch (PaymentDeclined error)
            {
                throw new CheckoutError("checkout of cart 4711 failed", error);
            }
        }

        public T Total<T>(T start) where T : class
        {
            throw new InvalidOperationException("no total of " + typeof(T).Name);
        }

        public string this[int at]
        {
            get { throw new PaymentDeclined("nothing at " + at); }
        }
    }

    public static class Scenarios
    {
        public static void Simple()
        {
            var tries = 0;
            new Cart(4000).Checkout(ref tries, new List<string> { "note" });
        }

        static int Amount(string text)
        {
            if (text != "1") throw new FormatException("'" + text + "' is no number: none");
            return 1;
        }

        static void InWords()
        {
            try { Amount("twelve"); }
            catch (FormatException error) { throw new PaymentDeclined("amount is no number", error); }
        }

        public static void Nested()
        {
            try { InWords(); }
            catch (PaymentDeclined error) { throw new CheckoutError("checkout of cart 4711 failed", error); }
        }

        public static void MultiLine()
        {
            try { Amount("a\nb"); }
            catch (FormatException error)
            {
                throw new CheckoutError("Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal", error);
            }
        }

        public static void NoMessage()
        {
            throw new Cart.Empty();
        }

        public static void Later()
        {
            new Cart(1).CheckoutLater().GetAwaiter().GetResult();
        }

        public static void All()
        {
            Task.WaitAll(new Cart(1).ChargeLater(), new Cart(2).CheckoutLater());
        }

        public static void Closure()
        {
            var card = 7;
            new[] { "book" }.Select(item => { new Cart(card).Charge(1m, item); return item; }).ToList();
        }

        public static void Constructed()
        {
            new Cart(-1);
        }

        public static void Generic()
        {
            new Cart(1).Total<string>("");
        }

        public static void Indexed()
        {
            Console.WriteLine(new Cart(1)[3]);
        }

        static void Descend(int depth)
        {
            if (depth == 0) throw new InvalidOperationException("no end in sight");
            Descend(depth - 1);
        }

        public static void Recursion()
        {
            Descend(30);
        }
    }

    public static class Program
    {
        public static void Main(string[] arguments)
        {
            foreach (var name in arguments.Skip(2))
            {
                try
                {
                    Call(name);
                }
                catch (Exception error)
                {
                    var path = Path.Combine(arguments[0], arguments[1] + name);
                    File.WriteAllText(path + ".txt", error + "\n");
                    var errors = new List<string>();
                    Describe(error, null, errors);
                    File.WriteAllText(path + ".json", "{\"language\": \"dotnet\", \"errors\": [\n" + string.Join(",\n", errors) + "\n]}\n");
                }
            }
        }

        static void Call(string name)
        {
            switch (name)
            {
                case "Simple": Scenarios.Simple(); break;
                case "Nested": Scenarios.Nested(); break;
                case "MultiLine": Scenarios.MultiLine(); break;
                case "NoMessage": Scenarios.NoMessage(); break;
                case "Later": Scenarios.Later(); break;
                case "All": Scenarios.All(); break;
                case "Closure": Scenarios.Closure(); break;
                case "Constructed": Scenarios.Constructed(); break;
                case "Generic": Scenarios.Generic(); break;
                case "Indexed": Scenarios.Indexed(); break;
                case "Recursion": Scenarios.Recursion(); break;
            }
        }

        static void Describe(Exception error, string source, List<string> errors)
        {
            var frames = Frames(error);
            errors.Add("  {\"class\": " + Quoted(error.GetType().FullName)
                + ", \"message\": " + Quoted(error.Message) + ", \"source\": " + Quoted(source) + ", \"frame_count\": " + frames.Count
                + ",\n   \"top\": " + frames.First() + ",\n   \"bottom\": " + frames.Last() + "}");
            var many = error as AggregateException;
            if (error.InnerException != null) Describe(error.InnerException, "cause", errors);
            if (many == null) return;
            foreach (var member in many.InnerExceptions) Describe(member, "member", errors);
        }

        static List<string> Frames(Exception error)
        {
            var frames = new List<string>();
            foreach (var frame in new StackTrace(error, true).GetFrames() ?? new StackFrame[0])
            {
                var method = frame.GetMethod();
                var file = frame.GetFileName();
                frames.Add("{\"file\": " + Quoted(file) + ", \"line\": " + (file == null ? "null" : frame.GetFileLineNumber().ToString())
                    + ", \"function\": " + Quoted(method.Name) + "}");
            }
            return frames;
        }

        static string Quoted(string text)
        {
            if (string.IsNullOrEmpty(text)) return "null";
            var quoted = new StringBuilder("\"");
            foreach (var character in text)
            {
                if (character == '\n') quoted.Append("\\n");
                else if (character == '"' || character == '\\') quoted.Append('\\').Append(character);
                else quoted.Append(character);
            }
            return quoted.Append('"').ToString();
        }
    }
}
